//! What is known of a person beside what policies ask for: the standard claims (OpenID Connect Core §5.1). Personal data.
//!
//! These are fields of their own and no attributes, so that no claim policy can release them into an access token: only the ID token and userinfo read them, and
//! only what was consented to ([`crate::claims_request`]).

use crate::user::UserRecord;
use countersign_base::{Bounded, UnixTime};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::fmt;

/// The profile of a person. Every part may be absent; `preferred_username` is the username.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Profile {
    /// The full name as it is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Bounded<256>>,
    /// Given names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub given_name: Option<Bounded<256>>,
    /// Family names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub family_name: Option<Bounded<256>>,
    /// Middle names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub middle_name: Option<Bounded<256>>,
    /// A casual name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nickname: Option<Bounded<256>>,
    /// The address of a profile page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<Bounded<512>>,
    /// The address of a picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub picture: Option<Bounded<512>>,
    /// The address of a web page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub website: Option<Bounded<512>>,
    /// The gender.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gender: Option<Bounded<64>>,
    /// The day of birth, `YYYY-MM-DD`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub birthdate: Option<Bounded<10>>,
    /// The time zone (`Europe/Vienna`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zoneinfo: Option<Bounded<64>>,
    /// The language (BCP 47).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locale: Option<Bounded<35>>,
    /// When the profile was last changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<UnixTime>,
    /// The e-mail address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<Bounded<254>>,
    /// Whether somebody checked that it is theirs.
    pub email_verified: bool,
    /// The telephone number (E.164).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone_number: Option<Bounded<32>>,
    /// Whether somebody checked that it is theirs.
    pub phone_number_verified: bool,
    /// The postal address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<Address>,
}

/// A postal address (OpenID Connect Core §5.1.1).
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Address {
    /// The whole, as it would stand on a letter, lines separated by commas.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub formatted: Option<Bounded<512>>,
    /// Street and number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub street_address: Option<Bounded<256>>,
    /// City.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locality: Option<Bounded<256>>,
    /// State or province.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<Bounded<256>>,
    /// Postal code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub postal_code: Option<Bounded<32>>,
    /// Country.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country: Option<Bounded<64>>,
}

impl fmt::Debug for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Profile")
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Address")
    }
}

macro_rules! claims {
    ($($variant:ident = $name:literal in $scope:literal: $words:literal;)*) => {
        /// A standard claim about a person (OpenID Connect Core §5.1).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Claim {
            $(#[doc = concat!("`", $name, "`")] #[serde(rename = $name)] $variant,)*
        }

        impl Claim {
            /// Every one, in the order of their names.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// Its name.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The scope that asks for it (§5.4).
            #[must_use]
            pub const fn scope(self) -> &'static str {
                match self { $(Self::$variant => $scope,)* }
            }

            /// What the person reads when a client asks for it.
            #[must_use]
            pub const fn words(self) -> &'static str {
                match self { $(Self::$variant => $words,)* }
            }
        }
    };
}

claims! {
    Address = "address" in "address": "your postal address";
    Birthdate = "birthdate" in "profile": "your date of birth";
    Email = "email" in "email": "your e-mail address";
    EmailVerified = "email_verified" in "email": "whether your e-mail address was checked";
    FamilyName = "family_name" in "profile": "your family name";
    Gender = "gender" in "profile": "your gender";
    GivenName = "given_name" in "profile": "your given name";
    Locale = "locale" in "profile": "your language";
    MiddleName = "middle_name" in "profile": "your middle name";
    Name = "name" in "profile": "your name";
    Nickname = "nickname" in "profile": "your nickname";
    PhoneNumber = "phone_number" in "phone": "your telephone number";
    PhoneNumberVerified = "phone_number_verified" in "phone": "whether your telephone number was checked";
    Picture = "picture" in "profile": "your picture";
    PreferredUsername = "preferred_username" in "profile": "your username";
    Profile = "profile" in "profile": "your profile page";
    UpdatedAt = "updated_at" in "profile": "when your profile was last changed";
    Website = "website" in "profile": "your web page";
    Zoneinfo = "zoneinfo" in "profile": "your time zone";
}

impl Claim {
    /// The claim of this name, if it is one about a person.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|claim| claim.as_str() == name)
    }
}

fn text<const N: usize>(value: &Option<Bounded<N>>) -> Option<Value> {
    value
        .as_ref()
        .map(|value| Value::String(value.as_str().to_owned()))
}

impl UserRecord {
    /// The value of a claim, if it is known.
    #[must_use]
    pub fn claim(&self, claim: Claim) -> Option<Value> {
        let profile = &self.profile;
        match claim {
            Claim::Address => profile
                .address
                .as_ref()
                .and_then(|address| serde_json::to_value(address).ok()),
            Claim::Birthdate => text(&profile.birthdate),
            Claim::Email => text(&profile.email),
            Claim::EmailVerified => profile
                .email
                .as_ref()
                .map(|_| Value::Bool(profile.email_verified)),
            Claim::FamilyName => text(&profile.family_name),
            Claim::Gender => text(&profile.gender),
            Claim::GivenName => text(&profile.given_name),
            Claim::Locale => text(&profile.locale),
            Claim::MiddleName => text(&profile.middle_name),
            Claim::Name => text(&profile.name),
            Claim::Nickname => text(&profile.nickname),
            Claim::PhoneNumber => text(&profile.phone_number),
            Claim::PhoneNumberVerified => profile
                .phone_number
                .as_ref()
                .map(|_| Value::Bool(profile.phone_number_verified)),
            Claim::Picture => text(&profile.picture),
            Claim::PreferredUsername => Some(Value::String(self.username.as_str().to_owned())),
            Claim::Profile => text(&profile.profile),
            Claim::UpdatedAt => profile.updated_at.map(|at| Value::from(at.0)),
            Claim::Website => text(&profile.website),
            Claim::Zoneinfo => text(&profile.zoneinfo),
        }
    }

    /// Those of `claims` that are known.
    #[must_use]
    pub fn claims(&self, claims: impl IntoIterator<Item = Claim>) -> Map<String, Value> {
        claims
            .into_iter()
            .filter_map(|claim| Some((claim.as_str().to_owned(), self.claim(claim)?)))
            .collect()
    }
}
