use countersign_guard::sealed::*;

#[derive(SealedFields)]
#[sealed(table = "cards")]
struct Card {
    #[sealed(classification = "restricted", purposes("chargeback"))]
    pan: Sealed<CardPan>,
    #[sealed(classification = "restricted", purposes("chargeback"))]
    cvc: Sealed<CardCvc>,
}

fn place(tenant: countersign_base::Tenant, person: DataSubject) -> Place<CardPan> {
    Place::<CardPan>::about(tenant, person, RowKey::number(1))
}

fn main() {}
