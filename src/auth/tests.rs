use super::*;
use crate::rules::Scope;
use std::net::Ipv4Addr;
use std::time::Duration;

/// "hunter2" by argon2-cffi, with costs that do not make a test slow.
const STORED: &str = "$argon2id$v=19$m=8,t=1,p=1$twWfIxNj4WjgI41WnDPbAA$lX1wCY1RVyj4nCshrBrwcysuy5JVu5sdoNjLLo03H0Q";

fn auth() -> (Auth, Clock) {
    let clock = Clock::manual(1_700_000_000);
    (Auth::new(clock.clone()).unwrap(), clock)
}

fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

fn peer(n: u32) -> Option<IpAddr> {
    Some(IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + n)))
}

#[tokio::test]
async fn a_hash_agrees_with_its_password_only() {
    let (auth, _) = auth();
    let stored = auth.hash(&secret("geheim")).await.unwrap();
    for (password, stored, expected) in [
        ("geheim", Some(stored.as_str()), Checked::Right),
        ("geheim!", Some(&stored), Checked::Wrong),
        ("geheim", Some(STORED), Checked::Wrong),
        ("geheim", None, Checked::Wrong),
        ("", None, Checked::Wrong),
        ("geheim", Some(""), Checked::Wrong),
        ("geheim", Some("geheim"), Checked::Wrong),
        (
            "geheim",
            Some("$argon2id$v=19$m=4194304,t=3,p=4$eC/FWKv1PseYkxLCuNf6Xw$G0i2V1YjaNtqAArSxYhXwEEx"),
            Checked::Wrong,
        ),
    ] {
        assert_eq!(auth.check("alice", peer(1), &secret(password), stored).await, expected, "{password} {stored:?}");
    }
    let long = secret(&"x".repeat(PASSWORD_BYTES_MAX + 1));
    assert_eq!(auth.hash(&long).await, Err(AuthError::TooLong));
    assert_eq!(auth.check("alice", peer(1), &long, Some(STORED)).await, Checked::Wrong);
}

#[tokio::test]
async fn failures_run_out_and_successes_cost_nothing() {
    let (auth, clock) = auth();
    let check = async |peer, password: &str| auth.check("alice", peer, &secret(password), Some(STORED)).await;
    for _ in 0..50 {
        assert_eq!(check(peer(1), "hunter2").await, Checked::Right);
    }
    for _ in 0..10 {
        assert_eq!(check(peer(1), "hunter3").await, Checked::Wrong);
    }
    // The right password too, or guessing could go on; but not for another peer.
    assert_eq!(check(peer(1), "hunter2").await, Checked::TooMany { retry_after_seconds: 6 });
    assert_eq!(check(peer(2), "hunter2").await, Checked::Right);
    assert_eq!(check(None, "hunter2").await, Checked::Right);
    clock.advance(Duration::from_secs(6));
    assert_eq!(check(peer(1), "hunter2").await, Checked::Right);
}

#[tokio::test]
async fn tokens_and_passwords_have_one_count() {
    let (auth, _) = auth();
    for _ in 0..10 {
        assert_eq!(auth.may_try("alice", None), Ok(()));
        auth.failed("alice", None);
    }
    assert_eq!(auth.may_try("alice", None), Err(RetryAfter { seconds: 6 }));
    assert!(matches!(
        auth.check("alice", None, &secret("hunter2"), Some(STORED)).await,
        Checked::TooMany { retry_after_seconds: 6 }
    ));
}

#[tokio::test]
async fn guesses_sent_at_once_are_counted_one_by_one() {
    let (auth, _) = auth();
    let guesses = (0..30).map(|n| {
        let auth = auth.clone();
        async move { auth.check("alice", None, &secret(&format!("guess{n}")), Some(STORED)).await }
    });
    let answers = futures_util::future::join_all(guesses).await;
    assert_eq!(answers.iter().filter(|answer| **answer == Checked::Wrong).count(), 10);
    assert_eq!(answers.iter().filter(|answer| matches!(answer, Checked::TooMany { .. })).count(), 20);
}

#[tokio::test]
async fn a_flood_of_guesses_ends_and_is_turned_away() {
    let (auth, _) = auth();
    let askers: Vec<_> = (0..200)
        .map(|n| {
            let auth = auth.clone();
            tokio::spawn(async move {
                let password = secret(&format!("guess{n}"));
                auth.check("alice", peer(n), &password, Some(STORED)).await
            })
        })
        .collect();
    let (mut wrong, mut busy) = (0, 0);
    for asker in askers {
        match asker.await.unwrap() {
            Checked::Wrong => wrong += 1,
            Checked::Busy => busy += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!(wrong > WAITING_MAX && wrong + busy == 200, "{wrong} wrong, {busy} busy");
    assert_eq!(auth.0.shared.questions(), 0);
    assert_eq!(auth.check("alice", peer(0), &secret("hunter2"), Some(STORED)).await, Checked::Right);
}

#[tokio::test]
async fn a_full_line_is_busy() {
    let (auth, _) = auth();
    let turn = auth.0.turns.turn().await.unwrap();
    let passwords: Vec<_> = (0..WAITING_MAX).map(|n| secret(&format!("guess{n}"))).collect();
    let mut line: Vec<_> =
        passwords.iter().map(|password| Box::pin(auth.check("alice", None, password, None))).collect();
    for waiter in &mut line {
        assert!(futures_util::poll!(waiter).is_pending());
    }
    assert_eq!(auth.check("alice", None, &secret("another"), None).await, Checked::Busy);
    assert_eq!(auth.hash(&secret("another")).await, Err(AuthError::Busy));
    // The same question waits with the one that is in line.
    let mut same = Box::pin(auth.check("alice", None, &passwords[0], None));
    assert!(futures_util::poll!(&mut same).is_pending());
    drop((line, same));
    assert_eq!(auth.0.shared.questions(), 0);
    drop(turn);
    assert_eq!(auth.check("alice", None, &secret("hunter2"), Some(STORED)).await, Checked::Right);
}

#[tokio::test]
async fn fifty_connections_of_an_installer_are_one_question() {
    for (password, expected) in [("hunter2", Checked::Right), ("hunter3", Checked::Wrong)] {
        let (auth, _) = auth();
        let turn = auth.0.turns.turn().await.unwrap();
        let password = secret(password);
        let mut askers: Vec<_> =
            (0..50).map(|_| Box::pin(auth.check("alice", None, &password, Some(STORED)))).collect();
        for asker in &mut askers {
            assert!(futures_util::poll!(asker).is_pending());
        }
        assert_eq!(auth.0.shared.questions(), 1);
        // The one that leads hangs up; the others go on.
        drop(askers.swap_remove(0));
        drop(turn);
        assert_eq!(futures_util::future::join_all(askers).await, [expected; 49]);
        assert_eq!(auth.0.shared.questions(), 0);
        assert_eq!(auth.may_try("alice", None), Ok(()), "one wrong password is one failure");
    }
}

#[tokio::test]
async fn who_hangs_up_has_failed_all_the_same() {
    let (auth, _) = auth();
    let password = secret("hunter3");
    for _ in 0..10 {
        let mut asker = Box::pin(auth.check("alice", None, &password, Some(STORED)));
        // The work begins; it may be done already, with so small a hash.
        let _ = futures_util::poll!(&mut asker);
        drop(asker);
        // The next turn comes when that work is done.
        drop(auth.0.turns.turn().await);
    }
    assert!(auth.may_try("alice", None).is_err());
}

#[tokio::test]
async fn what_was_proved_is_remembered_until_it_changes() {
    let (auth, clock) = auth();
    let alice = UserName::parse("alice").unwrap();
    let subject = Subject::User { name: alice.clone(), scope: Scope::Everything };
    let proof = auth.fingerprint("alice", "hunter2");
    assert_eq!(auth.remembered(&proof), None);
    auth.remember(auth.begin(), proof, subject.clone(), None);
    assert_eq!(auth.remembered(&auth.fingerprint("alice", "hunter2")), Some(subject.clone()));
    for other in [auth.fingerprint("alice", "hunter3"), auth.fingerprint("bob", "hunter2")] {
        assert_eq!(auth.remembered(&other), None);
    }
    let late = auth.begin();
    auth.forget_user(&UserName::parse("bob").unwrap());
    assert!(auth.remembered(&proof).is_some());
    auth.forget_user(&alice);
    auth.remember(late, proof, subject.clone(), None);
    assert_eq!(auth.remembered(&proof), None);
    auth.remember(auth.begin(), proof, subject.clone(), None);
    auth.forget_all();
    assert_eq!(auth.remembered(&proof), None);
    auth.remember(auth.begin(), proof, subject, Some(clock.unix() + 5));
    clock.advance(Duration::from_secs(5));
    assert_eq!(auth.remembered(&proof), None);
}
