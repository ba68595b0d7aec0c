use super::*;
use crate::answer::Auth;
use crate::lease::tests::{new, taken_back, with_database};
use crate::token::tests::{made, used};
use crate::token::{NewToken, issue, row};
use crate::trial::Trial;
use crate::work::{Commit, EffectResult};
use crate::{VaultError, engine};
use countersign_base::{Duration, UnixTime};
use proptest::prelude::*;
use serde_json::Value as Json;

/// One thing that somebody does; numbers choose among what there is.
#[derive(Debug, Clone, Copy)]
enum Act {
    Child(usize),
    End(usize, Ending),
    Lease(usize),
    Look(usize, Fate),
    Wait(u64),
}

/// What becomes of an effect.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Done,
    Failed,
    /// It never happens, or nobody hears of it.
    Lost,
}

/// What becomes of a step that was prepared.
#[derive(Debug, Clone, Copy)]
enum When {
    Late,
    Never,
    Now,
}

/// What a step comes to, once it is committed.
enum Made {
    Child(Auth, usize),
    Ended(usize, Ending),
    Lease(String, usize),
    Looked(Outcome, Fate),
}

struct Token {
    auth: Auth,
    id: TokenId,
    parent: Option<usize>,
    ended: Option<Ending>,
    expires: UnixTime,
}

/// The vault beside a plain picture of it.
struct World {
    trial: Trial,
    mount: String,
    tokens: Vec<Token>,
    /// The id, the user and whose it is.
    leases: Vec<(String, String, usize)>,
    users: usize,
    late: Vec<(Commit, Made)>,
}

fn new_token(parent: Option<TokenId>) -> NewToken {
    NewToken {
        parent,
        path: "auth/token/create".to_owned(),
        ..NewToken::default()
    }
}

impl World {
    fn new() -> Self {
        let (mut trial, mount) = with_database();
        let auth = made(&mut trial, &new_token(None));
        let mut world = Self {
            trial,
            mount,
            tokens: Vec::new(),
            leases: Vec::new(),
            users: 0,
            late: Vec::new(),
        };
        world.add(auth, None);
        world
    }

    fn add(&mut self, auth: Auth, parent: Option<usize>) {
        let id = TokenId::of(&auth.client_token, &self.trial.cx()).unwrap();
        let row = self.trial.json(Row::name(&id).as_str()).unwrap();
        let expires = row["life"]["span"]["expires"].as_i64().unwrap();
        self.tokens.push(Token {
            expires: UnixTime(expires),
            auth,
            id,
            parent,
            ended: None,
        });
    }

    /// Whether a token can be used, by the plain picture.
    fn stands(&self, token: usize) -> bool {
        let Token {
            parent,
            ended,
            expires,
            ..
        } = &self.tokens[token];
        let above =
            |parent: usize| self.tokens[parent].ended == Some(Ending::Alone) || self.stands(parent);
        ended.is_none() && self.trial.now < *expires && parent.is_none_or(above)
    }

    /// Whether nobody ended a token or one above it; its time may be over.
    fn is_unmarked(&self, token: usize) -> bool {
        let Token { parent, ended, .. } = &self.tokens[token];
        let above = |parent: usize| {
            self.tokens[parent].ended == Some(Ending::Alone) || self.is_unmarked(parent)
        };
        ended.is_none() && parent.is_none_or(above)
    }

    fn prepare(&mut self, act: Act) -> Option<(Commit, Made)> {
        let token = |n: usize| n % self.tokens.len();
        match act {
            Act::Child(n) => {
                let above = token(n);
                let new = NewToken {
                    // Some end while others look.
                    ttl: Some(Duration::from_secs(if n % 3 == 0 { 200 } else { 86_400 })),
                    ..new_token(Some(self.tokens[above].id.clone()))
                };
                match self.trial.prepare(|work, cx| issue(new.clone(), work, cx)) {
                    Ok((auth, commit)) => Some((commit, Made::Child(auth, above))),
                    // Too deep.
                    Err(VaultError::Invalid(_)) => None,
                    Err(error) => {
                        assert_eq!(error, VaultError::Denied);
                        assert!(!self.stands(above));
                        None
                    }
                }
            }
            Act::End(n, what) => {
                let ending = token(n);
                let id = self.tokens[ending].id.clone();
                let end = |work: &mut Work<'_>, cx: &Cx<'_>| match Row::read(&id, work, cx)? {
                    Some(row) => row::end(&id, row, what, work, cx),
                    None => Ok(()),
                };
                // What has ended takes its children along, however it is ended once more.
                let what = if self.stands(ending) {
                    what
                } else {
                    Ending::Tree
                };
                let ((), commit) = self.trial.prepare(end).unwrap();
                Some((commit, Made::Ended(ending, what)))
            }
            Act::Lease(n) => {
                let holder = token(n);
                self.users += 1;
                let user = format!("user{}", self.users);
                let new = lease::NewLease {
                    ttl: Duration::from_secs(86_400),
                    max_ttl: Duration::ZERO,
                    ..new(&user, &self.mount, &self.tokens[holder].id)
                };
                let given = self
                    .trial
                    .prepare(|work, cx| lease::give(new.clone(), work, cx));
                match given {
                    Ok((lease, commit)) => Some((commit, Made::Lease(lease.id, holder))),
                    Err(_) => {
                        assert!(!self.stands(holder));
                        None
                    }
                }
            }
            Act::Look(n, fate) => {
                let due = self.trial.all_due();
                let name = due.get(n.checked_rem(due.len())?)?;
                let step = |work: &mut Work<'_>, cx: &Cx<'_>| engine::due(name, work, cx);
                let (outcome, commit) = self.trial.prepare(step).unwrap();
                Some((commit, Made::Looked(outcome, fate)))
            }
            Act::Wait(seconds) => {
                self.trial.now = self.trial.now.plus(Duration::from_secs(seconds));
                None
            }
        }
    }

    /// What follows a commit.
    fn committed(&mut self, made: Made) {
        match made {
            Made::Child(auth, parent) => {
                assert!(
                    self.is_unmarked(parent),
                    "made below a token that had ended"
                );
                self.add(auth, Some(parent));
            }
            Made::Ended(token, what) => {
                self.tokens[token].ended.get_or_insert(what);
            }
            Made::Lease(id, token) => {
                assert!(self.is_unmarked(token), "given to a token that had ended");
                let lease = self.trial.json(&format!("lease/{id}")).unwrap();
                let user = lease["held"]["username"].as_str().unwrap().to_owned();
                self.leases.push((id, user, token));
            }
            Made::Looked(Outcome::Done(_), _) | Made::Looked(_, Fate::Lost) => {}
            Made::Looked(outcome @ Outcome::Then(_), fate) => {
                self.trial.effects = match fate {
                    Fate::Failed => vec![EffectResult::Failed("down".to_owned())],
                    Fate::Done | Fate::Lost => Vec::new(),
                };
                self.trial.end(outcome).unwrap();
                self.trial.effects.clear();
            }
        }
    }

    fn act(&mut self, act: Act, when: When) {
        let Some((commit, made)) = self.prepare(act) else {
            return;
        };
        match when {
            When::Late => self.late.push((commit, made)),
            When::Never => {}
            When::Now => {
                assert!(self.trial.commit_late(commit));
                self.committed(made);
            }
        }
    }

    /// One of the steps that were prepared earlier is committed, if the store still takes it.
    fn commit_late(&mut self, n: usize) {
        let Some(late) = n.checked_rem(self.late.len()) else {
            return;
        };
        let (commit, made) = self.late.remove(late);
        if self.trial.commit_late(commit) {
            self.committed(made);
        }
    }

    /// At no moment does something stand that nobody will come for.
    fn check(&mut self) {
        let there = |trial: &Trial, name: String| trial.json(&name).is_some();
        for name in self.trial.stored("lease/") {
            let lease = self.trial.json(&name).unwrap();
            assert!(self.trial.due_of(&name).is_some());
            if lease["ended"].is_null() {
                let id = name.strip_prefix("lease/").unwrap();
                let token = lease["token"].as_str().unwrap();
                assert!(there(&self.trial, format!("token/id/{token}")));
                assert!(there(&self.trial, format!("token/leases/{token}/{id}")));
            }
        }
        for name in self.trial.stored("token/id/") {
            let row = self.trial.json(&name).unwrap();
            let id = name.strip_prefix("token/id/").unwrap();
            assert!(id == "root" || self.trial.due_of(&name).is_some());
            if let (Json::Null, Some(parent)) = (&row["ended"], row["parent"].as_str()) {
                assert!(there(&self.trial, format!("token/id/{parent}")));
                assert!(there(&self.trial, format!("token/child/{parent}/{id}")));
            }
        }
        for token in 0..self.tokens.len() {
            let held = used(&mut self.trial, &self.tokens[token].auth.client_token);
            assert_eq!(held.is_some(), self.stands(token));
        }
    }

    /// Once everything was looked at, what ended is gone with all it had, and all else is there.
    fn settle(&mut self) {
        self.late.clear();
        for _ in 0..4 {
            self.trial.pass(3_600);
        }
        self.check();
        for token in 0..self.tokens.len() {
            let name = format!("token/id/{}", self.tokens[token].id.0);
            assert_eq!(self.trial.json(&name).is_some(), self.stands(token));
        }
        for (id, user, token) in &self.leases {
            let lease = self.trial.json(&format!("lease/{id}"));
            if self.stands(*token) {
                assert!(lease.is_some_and(|lease| lease["ended"].is_null()));
                assert_eq!(taken_back(&self.trial, user), 0);
            } else {
                assert!(lease.is_none(), "a lease stands whose token has ended");
                assert!(taken_back(&self.trial, user) > 0);
            }
        }
        let standing = (0..self.tokens.len()).filter(|token| self.stands(*token));
        let standing = standing.count();
        assert_eq!(self.trial.stored("token/accessor/").len(), standing);
        assert!(self.trial.stored("token/child/").len() < standing.max(1));
    }
}

fn acts() -> impl Strategy<Value = (Act, When)> {
    let ending = prop_oneof![3 => Just(Ending::Tree), 1 => Just(Ending::Alone)];
    let fate = prop_oneof![Just(Fate::Done), Just(Fate::Failed), Just(Fate::Lost)];
    let act = prop_oneof![
        4 => any::<usize>().prop_map(Act::Child),
        4 => any::<usize>().prop_map(Act::Lease),
        1 => (any::<usize>(), ending).prop_map(|(n, what)| Act::End(n, what)),
        1 => (0_u64..150).prop_map(Act::Wait),
        5 => (any::<usize>(), fate).prop_map(|(n, fate)| Act::Look(n, fate)),
    ];
    let when = prop_oneof![6 => Just(When::Now), 1 => Just(When::Never), 2 => Just(When::Late)];
    (act, when)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn wherever_it_stops_all_that_a_token_had_ends_with_it_and_nothing_else(
        acts in proptest::collection::vec((acts(), proptest::option::of(any::<usize>())), 1..60)
    ) {
        let mut world = World::new();
        for ((act, when), late) in acts {
            world.act(act, when);
            if let Some(late) = late {
                world.commit_late(late);
            }
            world.check();
        }
        world.settle();
    }
}

#[test]
fn a_step_takes_down_a_few_and_says_that_it_goes_on() {
    let (mut trial, mount) = with_database();
    let auth = made(&mut trial, &new_token(None));
    let id = TokenId::of(&auth.client_token, &trial.cx()).unwrap();
    for n in 0..100 {
        made(&mut trial, &new_token(Some(id.clone())));
        let new = new(&format!("user{n}"), &mount, &id);
        trial
            .step(|work, cx| lease::give(new.clone(), work, cx))
            .unwrap();
    }
    let end = |work: &mut Work<'_>, cx: &Cx<'_>| {
        let mut row = Row::read(&id, work, cx)?.unwrap();
        row.end(Ending::Tree, cx.now);
        row.write(&id, work)
    };
    trial.step(end).unwrap();
    let name = Row::name(&id);
    let mut steps = 0;
    while trial.json(name.as_str()).is_some() {
        let (_, commit) = trial.prepare(|work, cx| due(&name, work, cx)).unwrap();
        assert!(commit.changes.len() <= 2 * usize::try_from(BATCH).unwrap() + 1);
        assert!(trial.commit_late(commit));
        steps += 1;
        assert!(steps < 20);
    }
    assert_eq!(steps, 4 + 4 + 1);
    trial.pass(0);
    assert_eq!(trial.stored("token/id/"), ["token/id/root"]);
}

#[test]
fn what_a_token_kept_for_itself_goes_with_it() {
    let mut trial = Trial::new();
    let auth = made(&mut trial, &new_token(None));
    let id = TokenId::of(&auth.client_token, &trial.cx()).unwrap();
    let own = EntryName::of(&["cubbyhole", &id.0, "a"]);
    let other = EntryName::of(&["cubbyhole", "other", "a"]);
    trial
        .step(|work, cx| {
            work.put(&own, &1)?;
            work.put(&other, &1)?;
            let mut row = Row::read(&id, work, cx)?.unwrap();
            row.end(Ending::Tree, cx.now);
            row.write(&id, work)
        })
        .unwrap();
    trial.pass(0);
    assert_eq!(trial.stored("cubbyhole/"), ["cubbyhole/other/a"]);
}

#[test]
fn what_is_given_at_the_last_moment_is_seen_by_whoever_takes_down() {
    // The node that gives has its clock a little behind: it prepares before the token's end and commits after another looked.
    let (mut trial, mount) = with_database();
    let short = NewToken {
        ttl: Some(Duration::from_secs(60)),
        ..new_token(None)
    };
    let auth = made(&mut trial, &short);
    let id = TokenId::of(&auth.client_token, &trial.cx()).unwrap();
    let new = new("late", &mount, &id);
    let (lease, given) = trial
        .prepare(|work, cx| lease::give(new.clone(), work, cx))
        .unwrap();
    let child = new_token(Some(id.clone()));
    let (below, child) = trial
        .prepare(|work, cx| issue(child.clone(), work, cx))
        .unwrap();
    trial.now = trial.now.plus(Duration::from_secs(60));
    let name = Row::name(&id);
    let (_, looked) = trial.prepare(|work, cx| due(&name, work, cx)).unwrap();
    assert!(trial.commit_late(given));
    assert!(trial.commit_late(child));
    assert!(trial.commit_late(looked));
    assert!(used(&mut trial, &below.client_token).is_none());
    trial.pass(600);
    assert!(trial.json(&format!("lease/{}", lease.id)).is_none());
    assert!(taken_back(&trial, "late") > 0);
    assert_eq!(trial.stored("token/id/"), ["token/id/root"]);
    assert!(trial.stored("token/accessor/").is_empty());
}
