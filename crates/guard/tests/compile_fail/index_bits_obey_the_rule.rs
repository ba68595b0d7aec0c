use countersign_guard::sealed::*;

#[derive(SealedFields)]
#[sealed(table = "cards")]
struct Card {
    #[sealed(classification = "restricted", blind_index(bits = 20, rows = 1_000))]
    pan: Sealed<CardPan>,
}

fn main() {}
