use countersign_guard::sealed::*;

#[derive(SealedFields)]
#[sealed(table = "cards")]
struct Card {
    #[sealed(classification = "restricted")]
    pan: Sealed<CardPan>,
    cvc: Option<Sealed<CardCvc>>,
}

fn main() {}
