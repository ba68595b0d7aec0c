// The twin of what does not compile: each name as it is meant to be used.

use countersign_guard::sealed::*;

#[derive(SealedFields)]
#[sealed(table = "cards")]
struct Card {
    #[sealed(
        classification = "restricted",
        purposes("chargeback"),
        blind_index(bits = 5, rows = 1_000)
    )]
    pan: Sealed<CardPan>,
    #[sealed(classification = "restricted", purposes("chargeback"))]
    cvc: Option<Sealed<CardCvc>>,
    #[sealed(classification = "confidential", key = "subject")]
    holder: Sealed<CardHolder>,
}

fn purpose() -> Purpose<CardPan> {
    CardPan::CHARGEBACK
}

fn place(tenant: countersign_base::Tenant, person: DataSubject) -> Place<CardHolder> {
    Place::<CardHolder>::about(tenant, person, RowKey::number(1))
}

async fn open(
    keys: &FieldKeys,
    pan: &Sealed<CardPan>,
    place: &Place<CardPan>,
    permit: OpenPermit<CardPan>,
) {
    let _ = keys.open(pan, place, CardPan::CHARGEBACK, permit).await;
}

async fn show(
    keys: &FieldKeys,
    pan: &Sealed<CardPan>,
    place: &Place<CardPan>,
    permit: MaskPermit<CardPan>,
) {
    let _ = keys.show(pan, place, permit).await;
}

async fn find(keys: &FieldKeys, tenant: &countersign_base::Tenant, pan: &String) {
    let _ = keys.index::<CardPan>(pan, tenant).await;
}

fn needs(_: impl serde::Serialize) {}

fn masked(opened: Opened<CardPan>) -> String {
    needs(opened.masked());
    opened.masked().to_string()
}

fn main() {
    let _ = |card: Card| (card.pan.as_bytes().to_vec() == card.holder.as_bytes(), card.cvc);
    let _ = (purpose, place, open, show, find, masked);
}
