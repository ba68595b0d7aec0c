//! Answers: by the same key and for the same reader as a request of their writer would be, and never taken for one, nor for another answer.

use super::{CONTENT, NOW, refused, world};
use crate::message::{
    AnswerMark, Draft, MessageRefusal, Occasion, Receiving, TEXT_BYTES_MAX, danger, sign, verify,
};
use countersign_crypto::jose::{Algorithm, ContentForm, JoseError, SignedContent};
use countersign_crypto::random::Random;
use serde_json::{Value, json};

/// Whoever carries an answer can hand it in where a request is due, or in the place of another answer. It is by the same key, for the same reader, and holds.
#[test]
fn an_answer_is_taken_for_the_answer_to_its_request_and_for_nothing_else() {
    let world = world(Algorithm::EdDsa);
    let to = |id: &str| Occasion::AnswerTo(id.parse().unwrap());
    let all = [
        Occasion::Own,
        Occasion::AnswerToPlain,
        to("asked-1"),
        to("asked-2"),
    ];
    for (written, mark) in all.iter().flat_map(|written| {
        [AnswerMark::Critical, AnswerMark::Ignorable].map(|mark| (written, mark))
    }) {
        let draft = Draft {
            occasion: written.clone(),
            mark,
            ..world.draft()
        };
        let (form, random) = (ContentForm::Attached, Random::system());
        let made = sign(&world.signing, &draft, CONTENT, form, &random, NOW);
        let text = made.unwrap().text;
        for due in &all {
            let receiving = Receiving {
                occasion: due,
                ..world.receiving()
            };
            let read = verify(&text, &receiving, NOW).map(danger::spent);
            let read = read.map(|message| (message.content().to_vec(), message.occasion));
            let expected = match (written, due) {
                (written, due) if written == due => Ok((CONTENT.to_vec(), due.clone())),
                (Occasion::Own, _) => Err(MessageRefusal::AnswerMissing),
                (_, Occasion::Own) => Err(MessageRefusal::AnswerUnasked),
                (_, _) => Err(MessageRefusal::AnswerOther),
            };
            assert_eq!(read, expected, "{written:?} where {due:?} is due");
        }
    }
}

/// What others write of it counts, `crit` or not, and what is no name of a message is none.
#[test]
fn whoever_says_that_a_message_answers_writes_no_request() {
    use MessageRefusal::{AnswerUnasked, StatementMalformed};
    for (value, reason) in [
        (json!(""), AnswerUnasked),
        (json!("asked-1"), AnswerUnasked),
        (json!("a b"), StatementMalformed),
        (json!(7), StatementMalformed),
        (json!(["asked-1"]), StatementMalformed),
    ] {
        refused("answer_to", value, reason);
    }
    let world = world(Algorithm::EdDsa);
    let mut header = world.header();
    header["answer_to"] = Value::Null;
    for crit in [None, Some(json!(["answer_to"]))] {
        if let Some(crit) = crit {
            header["crit"] = crit;
        }
        let outcome = world.verify(&world.forge(&header, CONTENT), NOW);
        assert_eq!(outcome.unwrap_err(), StatementMalformed);
    }
}

/// RFC 7515 §4.1.11: a reader who understands nothing critical refuses an answer. One that is told to be ignored is taken, as every message that stands for itself.
#[test]
fn a_reader_who_does_not_know_answers_refuses_them_unless_told_otherwise() {
    let world = world(Algorithm::EdDsa);
    let read = |occasion: Occasion, mark: AnswerMark| {
        let draft = Draft {
            occasion,
            mark,
            ..world.draft()
        };
        let (form, random) = (ContentForm::Attached, Random::system());
        let made = sign(&world.signing, &draft, CONTENT, form, &random, NOW).unwrap();
        SignedContent::parse(&made.text, &[], TEXT_BYTES_MAX).map(|_| ())
    };
    let answer = Occasion::AnswerTo("asked-1".parse().unwrap());
    let refused = Err(JoseError::Extension("crit"));
    assert_eq!(read(answer.clone(), AnswerMark::Critical), refused);
    assert_eq!(read(Occasion::AnswerToPlain, AnswerMark::Critical), refused);
    assert_eq!(read(answer, AnswerMark::Ignorable), Ok(()));
    // Nothing of a message that answers nothing is critical.
    assert_eq!(read(Occasion::Own, AnswerMark::Critical), Ok(()));
}
