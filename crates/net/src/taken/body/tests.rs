use super::*;
use bytes::Bytes;
use http_body_util::BodyExt;
use tokio::sync::oneshot;

const PATIENCE: Duration = Duration::from_millis(400);

/// Two frames, each after a pause of its own, and somebody who learns when it is let go.
struct Slow {
    pauses: Vec<Pin<Box<tokio::time::Sleep>>>,
    _let_go: oneshot::Sender<()>,
}

impl Slow {
    fn new(pause: Duration) -> (Self, oneshot::Receiver<()>) {
        let (sender, receiver) = oneshot::channel();
        let began = Instant::now();
        let pauses = [began + 2 * pause, began + pause];
        let slow = Self {
            pauses: pauses.map(|at| Box::pin(sleep_until(at))).into(),
            _let_go: sender,
        };
        (slow, receiver)
    }
}

impl Body for Slow {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let Some(pause) = self.pauses.last_mut() else {
            return Poll::Ready(None);
        };
        std::task::ready!(pause.as_mut().poll(cx));
        self.pauses.pop();
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"piece")))))
    }
}

#[tokio::test]
async fn a_body_that_nobody_asks_for_is_let_go_after_the_patience_and_not_before() {
    let (body, let_go) = Slow::new(Duration::ZERO);
    let began = Instant::now();
    let mut body = TakenBody::new(body, PATIENCE);
    assert!(let_go.await.is_err());
    assert!(began.elapsed() >= PATIENCE);
    assert!(!body.is_end_stream(), "what is missing is no end");
    let error = body.frame().await.unwrap().unwrap_err();
    let error = error.downcast_ref::<io::Error>().unwrap();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
}

#[tokio::test]
async fn a_body_of_which_one_frame_was_taken_is_let_go_as_well() {
    let (body, let_go) = Slow::new(Duration::ZERO);
    let mut body = TakenBody::new(body, PATIENCE);
    let began = Instant::now();
    assert!(body.frame().await.unwrap().is_ok());
    assert!(let_go.await.is_err());
    assert!(began.elapsed() >= PATIENCE);
}

#[tokio::test]
async fn a_body_that_is_slow_itself_is_waited_for() {
    let (body, _let_go) = Slow::new(PATIENCE * 2);
    let body = TakenBody::new(body, PATIENCE);
    let all = body.collect().await.unwrap().to_bytes();
    assert_eq!(all.as_ref(), b"piecepiece");
}

#[tokio::test]
async fn what_has_nothing_to_be_taken_is_not_watched() {
    let body = TakenBody::new(http_body_util::Empty::<Bytes>::new(), PATIENCE);
    assert!(body.watch.is_none());
    assert!(body.is_end_stream());
    let body = TakenBody::new(
        http_body_util::Full::new(Bytes::from_static(b"a")),
        PATIENCE,
    );
    assert!(body.watch.is_some());
    assert_eq!(body.size_hint().exact(), Some(1));
    assert_eq!(body.collect().await.unwrap().to_bytes().as_ref(), b"a");
}
