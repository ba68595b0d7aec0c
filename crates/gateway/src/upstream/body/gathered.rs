//! An answer's body, read whole as far as it may be held.

use super::{AnswerError, HELD, Held, PooledBody};
use crate::projection::ProjectionError;
use crate::upstream::PassError;
use bytes::{Bytes, BytesMut};
use http_body::Frame;
use http_body_util::BodyExt;
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;

/// A body of an answer that was read as far as it may be held.
pub(crate) enum Gathered {
    /// It is larger; what was read of it comes first.
    Passing(PooledBody),
    /// All of it; trailers are left out.
    Whole(Bytes),
}

/// Reads an answer's body up to `bytes_max`.
pub(crate) async fn gather(mut body: PooledBody, bytes_max: usize) -> Result<Gathered, PassError> {
    let (mut taken, mut length) = (Room::default(), 0_usize);
    let mut frames = VecDeque::new();
    while length <= bytes_max {
        let Some(frame) = body.frame().await else {
            let mut bytes = BytesMut::with_capacity(length);
            let read = frames
                .into_iter()
                .filter_map(|frame: Frame<Bytes>| frame.into_data().ok());
            for data in read {
                bytes.extend_from_slice(&data);
            }
            return Ok(Gathered::Whole(Bytes::from_owner(Held {
                bytes: bytes.freeze(),
                _room: taken.0,
            })));
        };
        let frame = frame.map_err(|error| match error {
            AnswerError::Broken(error) => PassError::Http(error),
            AnswerError::Idle => PassError::Timeout,
        })?;
        length = length.saturating_add(taken.add(&frame)?);
        frames.push_back(frame);
    }
    body.ahead = frames;
    Ok(Gathered::Passing(body))
}

/// The part of the room that one body has.
#[derive(Default)]
struct Room(Option<OwnedSemaphorePermit>);

impl Room {
    /// Takes room for a frame, and says how many bytes it has.
    fn add(&mut self, frame: &Frame<Bytes>) -> Result<usize, PassError> {
        let length = frame.data_ref().map_or(0, Bytes::len);
        let no_room = || PassError::Projection(ProjectionError::NoRoom);
        let wanted = u32::try_from(length).map_err(|_| no_room())?;
        let more = Arc::clone(&HELD).try_acquire_many_owned(wanted);
        let more = more.map_err(|_| no_room())?;
        match &mut self.0 {
            Some(taken) => taken.merge(more),
            None => self.0 = Some(more),
        }
        Ok(length)
    }
}
