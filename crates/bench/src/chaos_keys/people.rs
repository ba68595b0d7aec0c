//! People under load, and their erasure: what is sealed under somebody's own key opens for as long as they are there, and never again afterwards.
//!
//! What is sealed are the questions of decisions about them. The keeper of questions acknowledges nothing, so a question counts from when it was read once.

use super::vault::{Admin, Said};
use super::{Cx, Part};
use crate::Failed;
use crate::browser::Person;
use crate::chaos::ledger::Ledger;
use crate::chaos::session::Session;
use crate::chaos::workers::redeem;
use crate::chaos::{Ground, PASSWORD};
use crate::load::Destination;
use crate::server::Server;
use http::Method;
use serde_json::{Value as Json, json};
use std::time::Duration;

/// People who are never erased.
const STAYING: usize = 2;

/// Whether somebody is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Erased,
    /// Their erasure is under way.
    Erasing,
    Stays,
}

/// Somebody with a question that was read.
#[derive(Clone)]
struct Somebody {
    name: String,
    id: String,
    event: String,
    fate: Fate,
}

/// What was acknowledged of people.
#[derive(Clone)]
pub(super) struct People {
    all: Vec<Somebody>,
    /// What was acknowledged in the whole run.
    pub(super) erased: u64,
}

impl Part for People {
    async fn round(&mut self, cx: &mut Cx) -> Result<(), Failed> {
        let staying = |one: &&mut Somebody| one.fate == Fate::Stays;
        let chosen = cx.below(3);
        tokio::time::sleep(Duration::from_millis(400)).await;
        if self.all.iter_mut().filter(staying).count() <= STAYING || chosen > 0 {
            return Ok(());
        }
        let Some(one) = self.all.iter_mut().find(|one| one.fate == Fate::Stays) else {
            return Ok(());
        };
        one.fate = Fate::Erasing;
        let path = format!("subjects/{}/erase", one.id);
        let said = cx.admin.ask(&Method::POST, &path, &Json::Null).await?;
        if !said.is_done() {
            return Err(cx.refused(&said, &path));
        }
        one.fate = Fate::Erased;
        self.erased += 1;
        Ok(())
    }
}

impl People {
    /// Adds people, lets each sign in, and finds the question that was sealed for them.
    pub(super) async fn prepare(server: &Server, ground: &Ground) -> Result<Self, Failed> {
        register(server).await?;
        let identity = Destination::new(&server.addresses.identity, &server.roots()?)?;
        let control = Destination::new(&server.addresses.control, &server.roots()?)?;
        let mut admin = Admin::connect(&control, &ground.data()).await?;
        let mut all = Vec::new();
        for number in 0..8 {
            let name = format!("person-{number}");
            server
                .administer(&["user", "add", &name, "--password-stdin"], PASSWORD)
                .await?;
            let ledger = Ledger::new(server, "")?;
            let person = Person {
                username: name.clone(),
                password: PASSWORD.to_owned(),
            };
            let mut browser = Session::connect_as(person, &identity, &ledger).await?;
            let code = browser.code().await?;
            redeem(&mut browser, &ledger, code).await?;
            let id = id_of(&mut admin, &name).await?;
            all.push(Somebody {
                event: question_of(server, &mut admin, &id).await?,
                name,
                id,
                fate: Fate::Stays,
            });
        }
        Ok(Self { all, erased: 0 })
    }

    /// Takes over what came of the erasure that was under way, and asks for everybody's question and record. How many are there, and how many are erased.
    pub(super) async fn check(&mut self, admin: &mut Admin) -> Result<(u64, u64), Failed> {
        let (mut there, mut erased) = (0, 0);
        for one in &mut self.all {
            let found = asked(admin, &one.event).await?;
            if one.fate == Fate::Erasing {
                let stays = found.is_done();
                one.fate = if stays { Fate::Stays } else { Fate::Erased };
            }
            let known = json!({ "username": one.name });
            let path = "users/sessions";
            let record = admin.ask(&Method::POST, path, &known).await?;
            judge(one, &found, &record)?;
            *if one.fate == Fate::Stays {
                &mut there
            } else {
                &mut erased
            } += 1;
        }
        Ok((there, erased))
    }

    /// Erases one more, who was there until now.
    pub(super) async fn erase_one(&mut self, admin: &mut Admin) -> Result<(), Failed> {
        let one = self.all.iter_mut().find(|one| one.fate == Fate::Stays);
        let one = one.ok_or("nobody is there any more")?;
        let path = format!("subjects/{}/erase", one.id);
        let said = admin.ask(&Method::POST, &path, &Json::Null).await?;
        if !said.is_done() {
            return Err(said.problem(&path));
        }
        one.fate = Fate::Erased;
        Ok(())
    }

    /// A ledger in which everybody is somebody else than they are: those who are there were erased.
    pub(super) fn falsified(&self) -> Self {
        let mut false_one = self.clone();
        for one in &mut false_one.all {
            one.fate = match one.fate {
                Fate::Stays => Fate::Erased,
                Fate::Erased | Fate::Erasing => Fate::Stays,
            };
        }
        false_one
    }
}

/// Whether somebody is there with all that is theirs, or gone with it.
fn judge(one: &Somebody, question: &Said, record: &Said) -> Result<(), Failed> {
    let readable = question.is_done() && question.body.to_string().contains(&one.id);
    let holds = match one.fate {
        Fate::Stays => readable && record.is_done(),
        Fate::Erased => question.status == 404 && record.status == 404,
        Fate::Erasing => false,
    };
    if holds {
        return Ok(());
    }
    Err(format!(
        "{} is {:?}: the question is answered with {}, the record with {}",
        one.name, one.fate, question.status, record.status
    )
    .into())
}

async fn asked(admin: &mut Admin, event: &str) -> Result<Said, Failed> {
    let path = format!("decisions/{event}");
    admin.ask(&Method::GET, &path, &Json::Null).await
}

async fn id_of(admin: &mut Admin, name: &str) -> Result<String, Failed> {
    let path = "users/sessions";
    let said = admin
        .ask(&Method::POST, path, &json!({ "username": name }))
        .await?;
    said.text("/user_id").ok_or_else(|| said.problem(path))
}

/// The client that people sign in to.
async fn register(server: &Server) -> Result<(), Failed> {
    let words = [
        "client",
        "add",
        "phone",
        "--public",
        "--grant",
        "authorization_code",
        "--grant",
        "refresh_token",
        "--redirect-uri",
        crate::chaos::REDIRECT,
        "--scope",
        crate::clients::SCOPE,
        "--scope",
        "openid",
        "--audience",
        crate::clients::AUDIENCE,
    ];
    server.administer(&words, "").await?;
    Ok(())
}

/// The newest decision whose question is about somebody: the log does not say whose it is.
async fn question_of(server: &Server, admin: &mut Admin, id: &str) -> Result<String, Failed> {
    for _ in 0..40 {
        for event in server.recent_questions(60).await?.into_iter().take(8) {
            let said = asked(admin, &event).await?;
            if said.is_done() && said.body.to_string().contains(id) {
                return Ok(event);
            }
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    Err("no decision about a person was kept".into())
}

#[cfg(test)]
mod tests {
    use super::{Fate, Said, Somebody, judge};
    use serde_json::json;

    #[test]
    fn who_is_there_is_readable_and_who_is_erased_is_not() {
        let said = |status, text: &str| Said {
            status,
            body: json!({ "question": text }),
        };
        for (fate, question, record, expected) in [
            (Fate::Stays, said(200, "of id-1"), 200, true),
            (Fate::Stays, said(404, ""), 200, false),
            (Fate::Stays, said(503, ""), 200, false),
            (Fate::Stays, said(200, "of another"), 200, false),
            (Fate::Stays, said(200, "of id-1"), 404, false),
            (Fate::Erased, said(404, ""), 404, true),
            (Fate::Erased, said(200, "of id-1"), 404, false),
            (Fate::Erased, said(404, ""), 200, false),
            (Fate::Erased, said(503, ""), 404, false),
        ] {
            let one = Somebody {
                name: "n".to_owned(),
                id: "id-1".to_owned(),
                event: "e".to_owned(),
                fate,
            };
            let judged = judge(&one, &question, &said(record, ""));
            assert_eq!(judged.is_ok(), expected, "{fate:?} {record}");
        }
    }
}
