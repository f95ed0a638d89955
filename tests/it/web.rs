//! What people do in a browser: logging in, and forms.

mod account;
mod browse;
mod docs;
mod forgery;
mod indexes;
mod releases;
mod removing;
mod sessions;
mod tox;
mod uploads;

use crate::private::Auth;
use crate::support::house::{Answer, House};

/// A browser in which somebody may be logged in.
pub struct Browser<'a> {
    pub house: &'a House,
    /// What it sends as `Cookie`.
    pub cookie: String,
}

impl<'a> Browser<'a> {
    pub fn new(house: &'a House) -> Self {
        Self { house, cookie: String::new() }
    }

    pub async fn logged_in(house: &'a House, who: Auth<'_>) -> Self {
        let mut browser = Self::new(house);
        let answer = browser.log_in(who, "/").await;
        assert_eq!((answer.status, answer.header("location")), (303, "/"), "{}", answer.text());
        browser
    }

    pub async fn log_in(&mut self, who: Auth<'_>, next: &str) -> Answer {
        let (user, password) = who.unwrap();
        let body = encoded(&[("user", user), ("password", password), ("next", next)]);
        let answer = self.post("/+login", &[("Sec-Fetch-Site", "same-origin")], &body).await;
        if let Some(cookie) = answer.headers.get("set-cookie") {
            cookie.to_str().unwrap().split(';').next().unwrap().clone_into(&mut self.cookie);
        }
        answer
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.house.get_with(path, &[("Accept", "text/html"), ("Cookie", &self.cookie)]).await
    }

    /// What the forms of this browser's pages carry.
    pub async fn token(&self) -> String {
        let page = self.get("/").await.text();
        let (_, rest) = page.split_once("name=\"token\" value=\"").unwrap_or_else(|| panic!("no form in {page}"));
        rest.split('"').next().unwrap().to_owned()
    }

    /// Sends a form as our own page does.
    pub async fn act(&self, action: &str, fields: &[(&str, &str)]) -> Answer {
        let token = self.token().await;
        let body = format!("token={token}&{}", encoded(fields));
        self.post(&format!("/+do/{action}"), &[("Sec-Fetch-Site", "same-origin")], &body).await
    }

    /// Sends a form with these fields of the head only.
    pub async fn post(&self, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut all = vec![("Content-Type", "application/x-www-form-urlencoded"), ("Accept", "text/html")];
        if !self.cookie.is_empty() {
            all.push(("Cookie", &self.cookie));
        }
        all.extend_from_slice(headers);
        self.house.request_with("POST", path, &all, body.as_bytes()).await
    }
}

pub fn encoded(fields: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}
