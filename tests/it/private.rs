//! Private indexes, as devpi's clients use them: users, indexes, uploads, promotion, removal, and the one rule for names.

mod access;
mod answers;
mod graphs;
mod indexes;
mod names;
mod promotion;
mod races;
mod undo;
mod uploads;
mod users;

use crate::support::house::{Answer, House, Options};
use crate::support::{wheel, wheel_filename};
use serde_json::{Value, json};
use sidewheel::config::Secret;

pub const ROOT_PASSWORD: &str = "root's password";

/// Who asks: a user and a password or token.
pub type Auth<'a> = Option<(&'a str, &'a str)>;

pub const ROOT: Auth<'static> = Some(("root", ROOT_PASSWORD));
pub const ALICE: Auth<'static> = Some(("alice", "alice's password"));
pub const BOB: Auth<'static> = Some(("bob", "bob's password"));

/// A house with root, alice and bob, and the index alice/dev over root/pypi.
pub async fn private_house() -> House {
    private_house_with(Options::default()).await
}

pub async fn private_house_with(options: Options) -> House {
    let house = House::with(options).await;
    assert!(house.index.first_password(&Secret::new(ROOT_PASSWORD.to_owned())).await.unwrap());
    for (name, password) in [ALICE.unwrap(), BOB.unwrap()] {
        let made = house.api("PUT", &format!("/{name}"), ROOT, json!({ "password": password })).await;
        assert_eq!(made.status, 201, "{}", made.text());
    }
    make_index(&house, "alice/dev", json!({ "bases": "root/pypi" })).await;
    house
}

/// Makes an index as its owner.
pub async fn make_index(house: &House, name: &str, settings: Value) {
    let user = name.split('/').next().unwrap();
    let auth = [ROOT, ALICE, BOB].into_iter().find(|auth| auth.unwrap().0 == user).unwrap();
    let made = house.api("PUT", &format!("/{name}"), auth, settings).await;
    assert_eq!(made.status, 200, "{}", made.text());
}

/// Uploads a wheel of this version as alice.
pub async fn release(house: &House, index: &str, name: &str, version: &str) -> Vec<u8> {
    let bytes = wheel(name, version, 1000, 7);
    let answer = upload(house, index, ALICE, name, version, &bytes).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    bytes
}

pub async fn upload(house: &House, index: &str, auth: Auth<'_>, name: &str, version: &str, bytes: &[u8]) -> Answer {
    let fields = [(":action", "file_upload"), ("name", name), ("version", version), ("filetype", "bdist_wheel")];
    house.post_form(&format!("/{index}/"), auth, &fields, Some((&wheel_filename(name, version), bytes))).await
}

/// The file names on an index's page of a project; none when there is no page.
pub async fn listed(house: &House, index: &str, project: &str) -> Vec<String> {
    let accept = ("Accept", "application/vnd.pypi.simple.v1+json");
    let page = house.get_with(&format!("/{index}/+simple/{project}/"), &[accept]).await;
    if page.status == 404 {
        return Vec::new();
    }
    assert_eq!(page.status, 200, "{}", page.text());
    let files = page.json()["files"].as_array().unwrap().clone();
    files.iter().map(|file| file["filename"].as_str().unwrap().to_owned()).collect()
}
