use countersign_guard::sealed::*;

#[derive(SealedFields)]
#[sealed(table = "cards")]
struct Card {
    #[sealed(purposes("chargeback"))]
    pan: Sealed<CardPan>,
}

fn main() {}
