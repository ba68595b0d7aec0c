use countersign_guard::sealed::*;

#[derive(SealedFields)]
#[sealed(table = "cards")]
struct Card {
    #[sealed(classification = "restricted", purposes("chargeback"))]
    pan: Sealed<CardPan>,
    #[sealed(classification = "restricted", purposes("chargeback"))]
    cvc: Sealed<CardCvc>,
}

fn needs(_: impl serde::Serialize) {}

fn show(opened: Opened<CardPan>) {
    needs(opened);
}

fn main() {}
