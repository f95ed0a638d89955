//! The control socket: what commands ask a running server.

use crate::support::house::House;
use sidewheel::server::control::{Answer, CONTROL_FILE, ControlError, Request, Status, ask};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

const PATIENCE: Duration = Duration::from_secs(10);

/// Sends raw bytes; the one line that comes back.
async fn say(data: &Path, bytes: &[u8]) -> String {
    let mut stream = UnixStream::connect(data.join(CONTROL_FILE)).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = String::new();
    tokio::time::timeout(PATIENCE, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    answer
}

async fn status(data: &Path) -> Status {
    match ask(data, &Request::Status).await.unwrap() {
        Answer::Status(status) => status,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_running_server_says_who_it_is_and_a_stopped_one_is_known_to_be_gone() {
    let mut house = House::start().await;
    let status = status(house.data()).await;
    assert_eq!((status.pid, status.version.as_str()), (std::process::id(), env!("CARGO_PKG_VERSION")));
    assert_eq!(status.addresses, [format!("http://{}", house.address)]);
    let mode = std::fs::metadata(house.data().join(CONTROL_FILE)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    assert!(house.take_server().stop(PATIENCE).await);
    assert!(!house.data().join(CONTROL_FILE).exists());
    assert!(matches!(ask(house.data(), &Request::Status).await, Err(ControlError::NoServer { .. })));
    house.end().await;
}

#[tokio::test]
async fn what_is_no_question_is_refused_with_a_sentence_and_the_server_goes_on() {
    let house = House::start().await;
    for line in [&b"{\"ask\":\"the-moon\"}\n"[..], b"[]\n", b"\xff\n", b"\n"] {
        let answer = say(house.data(), line).await;
        assert!(answer.starts_with("{\"refused\":\"") && answer.ends_with("\"}\n"), "{answer}");
        assert!(answer.contains("the running server, version"), "{answer}");
    }
    let answer = say(house.data(), &vec![b'x'; 1 << 20]).await;
    assert!(answer.contains("a line may have"), "{answer}");
    // Who says nothing holds up nobody.
    let mut silent = Vec::new();
    for _ in 0..15 {
        silent.push(UnixStream::connect(house.data().join(CONTROL_FILE)).await.unwrap());
    }
    assert!(ask(house.data(), &Request::Status).await.is_ok());
    drop(silent);
    house.end().await;
}

#[tokio::test]
async fn a_socket_that_was_left_behind_is_replaced_and_one_that_cannot_be_made_stops_nothing() {
    let house = House::start().await;
    let socket = house.data().join(CONTROL_FILE);
    let house = house.restart(|_| ()).await;
    assert!(ask(house.data(), &Request::Status).await.is_ok());

    // As after a kill: the file is there, and nobody listens.
    std::fs::remove_file(&socket).unwrap();
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    assert!(matches!(ask(house.data(), &Request::Status).await, Err(ControlError::NoServer { .. })));
    let house = house.restart(|_| ()).await;
    assert_eq!(house.get("/+health").await.status, 200);

    std::fs::remove_file(&socket).ok();
    std::fs::create_dir(&socket).unwrap();
    let house = house.restart(|_| ()).await;
    assert_eq!(house.get("/+health").await.status, 200);
    assert!(ask(house.data(), &Request::Status).await.is_err());
    house.end().await;
}

/// An address of a Unix socket has room for about a hundred bytes; directories of tests and of macOS are longer.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_long_directory_has_its_socket_too() {
    use sidewheel::server::Standing;
    let mut house = House::start().await;
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("d".repeat(150));
    std::fs::create_dir(&data).unwrap();
    let mut server = house.take_server();
    server.open_control(&data, Standing { started: 0, format: 1 }, None);
    let status = status(&data).await;
    assert_eq!(status.pid, std::process::id());
    assert!(server.stop(PATIENCE).await);
    assert!(!data.join(CONTROL_FILE).exists());
    house.end().await;
}
