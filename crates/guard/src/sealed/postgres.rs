//! Sealed fields as columns of PostgreSQL: the envelope is BYTEA, a blind index BIGINT.
//!
//! Not here: SQLite, which this workspace does not reach through sqlx; [`Sealed::as_bytes`] and [`Sealed::from_bytes`] serve it.

use super::field::Field;
use super::index::{BlindIndex, Indexed};
use super::value::Sealed;
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgArgumentBuffer, PgTypeInfo, PgValueRef};
use sqlx::{Decode, Encode, Postgres, Type};

impl<F> Type<Postgres> for Sealed<F> {
    fn type_info() -> PgTypeInfo {
        <Vec<u8> as Type<Postgres>>::type_info()
    }

    fn compatible(ty: &PgTypeInfo) -> bool {
        <Vec<u8> as Type<Postgres>>::compatible(ty)
    }
}

impl<F: Field> Encode<'_, Postgres> for Sealed<F> {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        <&[u8] as Encode<Postgres>>::encode(self.as_bytes(), buffer)
    }
}

/// Refuses what is no envelope: plaintext that was left in the column does not pass for a sealed value.
impl<F: Field> Decode<'_, Postgres> for Sealed<F> {
    fn decode(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
        let bytes = <Vec<u8> as Decode<Postgres>>::decode(value)?;
        Ok(Self::from_bytes(bytes)?)
    }
}

impl<F> Type<Postgres> for BlindIndex<F> {
    fn type_info() -> PgTypeInfo {
        <i64 as Type<Postgres>>::type_info()
    }
}

impl<F> Encode<'_, Postgres> for BlindIndex<F> {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        <i64 as Encode<Postgres>>::encode(self.as_i64(), buffer)
    }
}

impl<F: Indexed> Decode<'_, Postgres> for BlindIndex<F> {
    fn decode(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
        let number = <i64 as Decode<Postgres>>::decode(value)?;
        Ok(Self::from_i64(number)?)
    }
}

#[cfg(test)]
mod tests;
