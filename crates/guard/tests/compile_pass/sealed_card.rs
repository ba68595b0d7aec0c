use countersign_guard::authn::Subject;
use countersign_guard::sealed::{
    About, DataSubject, Disclosure, FieldKeys, Place, Reach, RowKey, Sealed, SealedFields, Secret,
    digits,
};
use std::error::Error;

#[derive(SealedFields)]
#[sealed(table = "cards")]
struct Card {
    id: i64,
    #[sealed(
        classification = "restricted",
        mask = "last4",
        blind_index(rows = 1_000_000, normalise = digits),
        purposes("chargeback")
    )]
    pan: Sealed<CardPan>,
    #[sealed(classification = "confidential", key = "subject", purposes("statement"))]
    holder: Sealed<CardHolder>,
}

fn rules() -> Result<Disclosure, Box<dyn Error>> {
    Ok(Disclosure::new()
        .allow(CardPan::CHARGEBACK, Reach::Anybody, "cards.chargeback".parse()?)
        .allow_mask::<CardPan>(Reach::Anybody, "cards.read".parse()?)
        .allow(CardHolder::STATEMENT, Reach::CallerAlone, "cards.read".parse()?))
}

async fn seal(caller: &Subject, keys: &FieldKeys) -> Result<Card, Box<dyn Error>> {
    let (tenant, row) = (caller.tenant().clone(), RowKey::number(7));
    let pan = Secret::new("4111 1111 1111 1111".to_owned());
    let holder = Secret::new("A. Cardholder".to_owned());
    let person = DataSubject::parse("customer-81")?;
    Ok(Card {
        id: 7,
        pan: keys.seal(&pan, &Place::in_tenant(tenant.clone(), row.clone())).await?,
        holder: keys.seal(&holder, &Place::about(tenant, person, row)).await?,
    })
}

async fn dispute(card: &Card, caller: &Subject, keys: &FieldKeys) -> Result<String, Box<dyn Error>> {
    let now = countersign_base::UnixTime(1_800_000_000); // the service's clock
    let permit = rules()?.permit(caller, CardPan::CHARGEBACK, About::Anybody, now)?;
    let place = Place::in_tenant(caller.tenant().clone(), RowKey::number(card.id));
    let pan = keys.open(&card.pan, &place, CardPan::CHARGEBACK, permit).await?;
    let row = keys.index::<CardPan>(pan.expose(), caller.tenant()).await?;
    assert!(row.as_i64() >= 0 && format!("{pan:?}") == "Opened(Restricted)");
    Ok(pan.masked().to_string()) // •••• •••• •••• 1111
}

fn main() {
    let _ = (seal, dispute, |card: Card| card.holder);
}
