//! The account pages: what a person sees of their own sessions, applications and ways of signing in, and changes there.

use askama::Template;
use countersign_base::UnixTime;

/// One of the pages, in the order of the menu.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AccountPage {
    /// Where the person is signed in.
    Sessions,
    /// Which applications have access.
    Applications,
    /// How they sign in.
    Security,
    /// Where an authenticator app is set up.
    App,
    /// Where a password is chosen.
    Password,
    /// Which other providers they sign in by.
    Providers,
}

impl AccountPage {
    /// The pages of the menu, in its order.
    pub(crate) const MENU: [Self; 4] = [
        Self::Sessions,
        Self::Applications,
        Self::Security,
        Self::Providers,
    ];

    /// Its path below the tenant's.
    pub(crate) const fn path(self) -> &'static str {
        match self {
            Self::Sessions => "/account",
            Self::Applications => "/account/applications",
            Self::Security => "/account/security",
            Self::App => "/account/security/app",
            Self::Password => "/account/security/password",
            Self::Providers => "/account/providers",
        }
    }

    /// The page of the menu that it belongs to.
    const fn entry(self) -> Self {
        match self {
            Self::App | Self::Password => Self::Security,
            Self::Sessions | Self::Applications | Self::Security | Self::Providers => self,
        }
    }

    const fn label(self) -> &'static str {
        match self {
            Self::Sessions => "Devices",
            Self::Applications => "Applications",
            Self::Security | Self::App | Self::Password => "Signing in",
            Self::Providers => "Linked accounts",
        }
    }
}

/// The frame of an account page.
pub(crate) struct Frame {
    /// Who is signed in.
    pub(crate) username: String,
    /// The menu.
    pub(crate) menu: Vec<MenuItem>,
    /// Where changes are sent.
    pub(crate) action: String,
    /// Where the webhooks of the person's partner are, if they may see them.
    pub(crate) webhooks: Option<String>,
    /// Where signing out begins.
    pub(crate) sign_out: String,
    /// What became of the last change.
    pub(crate) note: Option<Note>,
}

/// What became of a change.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Note {
    /// It was done.
    Done(&'static str),
    /// It was not.
    Problem(&'static str),
}

/// An entry of the menu.
pub(crate) struct MenuItem {
    pub(crate) label: &'static str,
    pub(crate) path: String,
    pub(crate) current: bool,
}

impl Frame {
    /// The frame of `page`; `path_of` makes a path of this tenant.
    pub(crate) fn new(
        username: String,
        page: AccountPage,
        note: Option<Note>,
        path_of: impl Fn(&str) -> String,
    ) -> Self {
        let menu = AccountPage::MENU.into_iter().map(|item| MenuItem {
            label: item.label(),
            path: path_of(item.path()),
            current: item == page.entry(),
        });
        Self {
            username,
            menu: menu.collect(),
            action: path_of("/account/change"),
            webhooks: None,
            sign_out: path_of("/logout"),
            note,
        }
    }
}

/// An instant as a person and as a program read it.
pub(crate) struct Moment {
    pub(crate) text: String,
    pub(crate) machine: String,
}

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

impl Moment {
    /// An instant to the second.
    pub(crate) fn exact(at: UnixTime) -> Self {
        let second = at.0.rem_euclid(60);
        let Self { text, machine } = at.into();
        Self {
            text: text.replace(" UTC", &format!(":{second:02} UTC")),
            machine: machine.replace('Z', &format!(":{second:02}Z")),
        }
    }
}

impl From<UnixTime> for Moment {
    fn from(at: UnixTime) -> Self {
        let (days, seconds) = (at.0.div_euclid(86_400), at.0.rem_euclid(86_400));
        let (hour, minute) = (seconds / 3600, seconds / 60 % 60);
        let (year, month, day) = civil(days);
        let name = usize::try_from(month - 1)
            .ok()
            .and_then(|index| MONTHS.get(index))
            .copied()
            .unwrap_or_default();
        Self {
            text: format!("{day} {name} {year}, {hour:02}:{minute:02} UTC"),
            machine: format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}Z"),
        }
    }
}

/// Year, month and day of a day counted from 1 January 1970 (H. Hinnant, "chrono-compatible low-level date algorithms").
const fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + era * 400;
    (if month <= 2 { year + 1 } else { year }, month, day)
}

/// Where the person is signed in.
#[derive(Template)]
#[template(path = "account/sessions.html")]
pub(crate) struct SessionsPage {
    pub(crate) frame: Frame,
    pub(crate) sessions: Vec<SessionRow>,
    /// The ticket that ends all of them.
    pub(crate) everywhere: String,
}

/// One sign-in.
pub(crate) struct SessionRow {
    pub(crate) device: String,
    pub(crate) began: Moment,
    pub(crate) ends: Moment,
    /// Whether it is the one that asks.
    pub(crate) here: bool,
    pub(crate) ticket: String,
}

/// Which applications have access.
#[derive(Template)]
#[template(path = "account/applications.html")]
pub(crate) struct ApplicationsPage {
    pub(crate) frame: Frame,
    pub(crate) applications: Vec<ApplicationRow>,
}

/// One application.
pub(crate) struct ApplicationRow {
    pub(crate) name: String,
    pub(crate) id: String,
    /// What it may, in words where there are some.
    pub(crate) scopes: Vec<(String, &'static str)>,
    pub(crate) audiences: Vec<String>,
    pub(crate) since: Moment,
    /// Whether it holds tokens now.
    pub(crate) active: bool,
    pub(crate) ticket: String,
}

/// How the person signs in.
#[derive(Template)]
#[template(path = "account/security.html")]
pub(crate) struct SecurityPage {
    pub(crate) frame: Frame,
    /// Whether there is a password.
    pub(crate) password: bool,
    /// Where the person chooses one, if it is theirs to choose.
    pub(crate) password_path: Option<String>,
    pub(crate) passkeys: Vec<PasskeyRow>,
    /// How one more is added, if one may be.
    pub(crate) add: Option<AddPasskey>,
    pub(crate) app: Option<AppRow>,
    /// Where an app is set up.
    pub(crate) app_path: String,
    /// Recovery codes that are left.
    pub(crate) codes: u16,
    /// The ticket that makes new ones.
    pub(crate) new_codes: String,
}

impl SecurityPage {
    /// Whether there is a second factor that could be lost.
    pub(crate) fn has_second_factor(&self) -> bool {
        self.app.is_some() || !self.passkeys.is_empty()
    }
}

/// A passkey.
pub(crate) struct PasskeyRow {
    pub(crate) name: String,
    pub(crate) created: Moment,
    pub(crate) last_used: Option<Moment>,
    /// Whether it is on the person's other devices, too.
    pub(crate) synced: bool,
    pub(crate) rename: String,
    pub(crate) remove: String,
    /// Tells its fields from those of the others.
    pub(crate) number: usize,
}

/// How a passkey is added.
pub(crate) struct AddPasskey {
    /// What the script asks the browser for.
    pub(crate) options: String,
    /// What it might be called.
    pub(crate) name: String,
    pub(crate) ticket: String,
}

/// An authenticator app.
pub(crate) struct AppRow {
    pub(crate) since: Moment,
    pub(crate) remove: String,
}

/// Sets an authenticator app up.
#[derive(Template)]
#[template(path = "account/app.html")]
pub(crate) struct AppPage {
    pub(crate) frame: Frame,
    /// The secret, in groups of four.
    pub(crate) secret: String,
    /// The address that an app on this device opens.
    pub(crate) address: String,
    /// The same as a picture, for an app on another device.
    pub(crate) picture: Option<String>,
    pub(crate) ticket: String,
    pub(crate) back: String,
}

impl AppPage {
    /// The picture of an address that an app opens.
    pub(crate) fn picture_of(address: &str) -> Option<String> {
        super::qr::picture(address)
    }
}

/// Chooses a password.
#[derive(Template)]
#[template(path = "account/password.html")]
pub(crate) struct PasswordPage {
    pub(crate) frame: Frame,
    /// The form; none where the configuration has the password.
    pub(crate) form: Option<PasswordForm>,
    pub(crate) back: String,
}

/// How a password is chosen.
pub(crate) struct PasswordForm {
    pub(crate) ticket: String,
    /// Whether there is one before.
    pub(crate) replaces: bool,
    /// Whether the one before is asked for.
    pub(crate) asks_current: bool,
    /// Characters, at least.
    pub(crate) length_min: u16,
    /// What was wrong with what was typed.
    pub(crate) problem: Option<PasswordProblem>,
}

/// What was wrong with one of the fields.
pub(crate) enum PasswordProblem {
    /// The one before.
    Current(&'static str),
    /// The new one.
    New(String),
}

impl PasswordForm {
    fn current_problem(&self) -> Option<&str> {
        match &self.problem {
            Some(PasswordProblem::Current(text)) => Some(text),
            Some(PasswordProblem::New(_)) | None => None,
        }
    }

    fn new_problem(&self) -> Option<&str> {
        match &self.problem {
            Some(PasswordProblem::New(text)) => Some(text),
            Some(PasswordProblem::Current(_)) | None => None,
        }
    }
}

/// Shows new recovery codes, this once.
#[derive(Template)]
#[template(path = "account/recovery_codes.html")]
pub(crate) struct RecoveryCodesPage {
    pub(crate) frame: Frame,
    pub(crate) codes: Vec<String>,
    pub(crate) back: String,
}

/// Which other providers the person signs in by.
#[derive(Template)]
#[template(path = "account/providers.html")]
pub(crate) struct ProvidersPage {
    pub(crate) frame: Frame,
    pub(crate) linked: Vec<LinkedRow>,
    pub(crate) offered: Vec<OfferedRow>,
    /// What is missing before anything can be changed here.
    pub(crate) hindrance: Option<&'static str>,
}

/// One linked identity.
pub(crate) struct LinkedRow {
    pub(crate) label: String,
    pub(crate) since: Moment,
    pub(crate) ticket: String,
}

/// A provider that could be linked.
pub(crate) struct OfferedRow {
    pub(crate) label: String,
    pub(crate) ticket: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_written_for_people() {
        for (at, text, machine) in [
            (0, "1 Jan 1970, 00:00 UTC", "1970-01-01T00:00Z"),
            (951_782_399, "28 Feb 2000, 23:59 UTC", "2000-02-28T23:59Z"),
            (951_782_400, "29 Feb 2000, 00:00 UTC", "2000-02-29T00:00Z"),
            (1_800_000_000, "15 Jan 2027, 08:00 UTC", "2027-01-15T08:00Z"),
            (4_107_542_399, "28 Feb 2100, 23:59 UTC", "2100-02-28T23:59Z"),
            (4_107_542_400, "1 Mar 2100, 00:00 UTC", "2100-03-01T00:00Z"),
        ] {
            let moment = Moment::from(UnixTime(at));
            assert_eq!(
                (moment.text.as_str(), moment.machine.as_str()),
                (text, machine)
            );
        }
        let exact = Moment::exact(UnixTime(951_782_399));
        assert_eq!(exact.text, "28 Feb 2000, 23:59:59 UTC");
        assert_eq!(exact.machine, "2000-02-28T23:59:59Z");
    }
}
