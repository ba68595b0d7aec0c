use countersign_guard::sealed::*;

#[derive(SealedFields)]
#[sealed(table = "cards")]
struct Card {
    #[sealed(classification = "restricted", purposes("chargeback"))]
    pan: Sealed<CardPan>,
    #[sealed(classification = "restricted", purposes("chargeback"))]
    cvc: Sealed<CardCvc>,
}

async fn find(keys: &FieldKeys, tenant: &countersign_base::Tenant, pan: &String) {
    let _ = keys.index::<CardPan>(pan, tenant).await;
}

fn main() {}
