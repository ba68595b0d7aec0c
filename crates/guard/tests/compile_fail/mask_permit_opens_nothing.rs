use countersign_guard::sealed::*;

#[derive(SealedFields)]
#[sealed(table = "cards")]
struct Card {
    #[sealed(classification = "restricted", purposes("chargeback"))]
    pan: Sealed<CardPan>,
    #[sealed(classification = "restricted", purposes("chargeback"))]
    cvc: Sealed<CardCvc>,
}

async fn open(keys: &FieldKeys, pan: &Sealed<CardPan>, place: &Place<CardPan>, permit: MaskPermit<CardPan>) {
    let _ = keys.open(pan, place, CardPan::CHARGEBACK, permit).await;
}

fn main() {}
