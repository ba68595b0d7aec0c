use countersign_guard::sealed::*;

#[derive(SealedFields)]
#[sealed(table = "cards")]
struct Card {
    #[sealed(classification = "restricted", purposes("chargeback"))]
    pan: Sealed<CardPan>,
    #[sealed(classification = "restricted", purposes("chargeback"))]
    cvc: Sealed<CardCvc>,
}

fn purpose() -> Purpose<CardPan> {
    CardPan::MARKETING
}

fn main() {}
