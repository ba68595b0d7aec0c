use super::*;
use futures_util::stream;
use http::HeaderMap;
use http_body_util::{Full, StreamBody};
use std::io;

fn streamed(
    frames: Vec<Result<Frame<Bytes>, io::Error>>,
) -> impl Body<Data = Bytes, Error = io::Error> {
    StreamBody::new(stream::iter(frames))
}

fn data(text: &'static str) -> Result<Frame<Bytes>, io::Error> {
    Ok(Frame::data(Bytes::from_static(text.as_bytes())))
}

fn broken() -> Result<Frame<Bytes>, io::Error> {
    Err(io::ErrorKind::ConnectionReset.into())
}

#[tokio::test]
async fn a_request_is_read_up_to_its_limit() {
    let read = async |frames, max| read_whole(streamed(frames), max).await;
    let whole = read(vec![data("abc"), data("def")], 6).await;
    assert_eq!(whole, Ok(Bytes::from_static(b"abcdef")));
    assert_eq!(
        read(vec![data("abc"), data("def")], 5).await,
        Err(KeyRefusal::BodyTooLarge)
    );
    assert_eq!(
        read(vec![data("abc"), broken()], 6).await,
        Err(KeyRefusal::BodyBroken)
    );
    let trailers = Ok(Frame::trailers(HeaderMap::new()));
    assert_eq!(
        read(vec![data("abc"), trailers], 6).await,
        Err(KeyRefusal::Trailers)
    );
}

#[tokio::test]
async fn an_answer_that_is_too_large_goes_out_as_it_came() {
    let frames = vec![data("abc"), data("def"), data("ghi")];
    let Read::TooLarge(body) = read_answer(streamed(frames), 5).await else {
        panic!("it is larger");
    };
    assert!(!body.is_end_stream());
    assert_eq!(
        body.collect().await.unwrap().to_bytes().as_ref(),
        b"abcdefghi"
    );
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sum", http::HeaderValue::from_static("1"));
    let frames = vec![data("abc"), Ok(Frame::trailers(trailers.clone()))];
    let Read::TooLarge(body) = read_answer(streamed(frames), 5).await else {
        panic!("trailers are not kept");
    };
    let collected = body.collect().await.unwrap();
    assert_eq!(collected.trailers(), Some(&trailers));
}

#[tokio::test]
async fn an_answer_that_breaks_off_breaks_off() {
    let frames = vec![data("abc"), broken()];
    let Read::Broken(mut body) = read_answer(streamed(frames), 5).await else {
        panic!("it broke");
    };
    let first = body.frame().await.unwrap().unwrap();
    assert_eq!(first.into_data().unwrap().as_ref(), b"abc");
    let error = body.frame().await.unwrap().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    assert!(body.frame().await.is_none() && body.is_end_stream());
}

#[tokio::test]
async fn an_answer_that_fits_is_whole() {
    let body = Full::new(Bytes::from_static(b"abc"));
    let Read::Whole(bytes) = read_answer(body, 3).await else {
        panic!("it fits");
    };
    let body = AnswerBody::<Full<Bytes>>::whole(bytes);
    assert_eq!(body.size_hint().exact(), Some(3));
    assert_eq!(body.collect().await.unwrap().to_bytes().as_ref(), b"abc");
}
