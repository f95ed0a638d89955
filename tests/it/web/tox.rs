//! What tests said of a version, as a page.

use super::Browser;
use crate::private::{ALICE, BOB, private_house, release};
use crate::support::wheel_filename;
use serde_json::json;

#[tokio::test]
async fn results_are_listed_newest_first_with_what_failed() {
    let house = private_house().await;
    release(&house, "alice/dev", "demo", "1.0").await;
    let browser = Browser::new(&house);
    let page = "/alice/dev/demo/1.0/+toxresults";
    let empty = browser.get(page).await;
    assert_eq!(empty.status, 200, "{}", empty.text());
    assert!(empty.text().contains("Nobody has posted results"));
    let path = house.file_path_in("alice/dev", "demo", &wheel_filename("demo", "1.0")).await;
    let output = format!("{}<script>alert(1)</script> the end", "x".repeat(100_000));
    let result = |code: i64| {
        json!({
            "platform": "linux", "host": "<b>builder</b>", "toxversion": "4.0",
            "testenvs": { "py<313>": {
                "python": { "version": "3.13.1 (main)" },
                "setup": [{ "command": ["pip", "install"], "output": "", "retcode": "0" }],
                "test": [{ "command": ["pytest", "-x"], "output": output, "retcode": code }],
            } },
        })
    };
    for posted in [result(0), result(1), json!({ "testenvs": ["odd"] })] {
        let answer = house.api("POST", &path, ALICE, posted).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    for version in ["1.0", "latest", "stable"] {
        let answer = browser.get(&format!("/alice/dev/demo/{version}/+toxresults")).await;
        assert_eq!(answer.status, 200);
        let text = answer.text();
        assert!(text.contains("It names no test environments."), "{text}");
        let count = |part: &str| text.matches(part).count();
        assert_eq!((count(">passed<"), count(">failed<")), (1, 1), "{text}");
        assert!(text.contains("Python 3.13.1") && text.contains("pytest -x") && text.contains("py&lt;313&gt;"));
        assert!(text.contains("&lt;script&gt;alert(1)&lt;/script&gt; the end"));
        assert!(!text.contains("<script>alert") && !text.contains("<b>builder"));
        assert!(text.len() < 100_000, "{} bytes", text.len());
        assert_eq!(count("<details open>"), 1, "only what failed is open");
    }
    let whole = browser.get(page).await.text();
    let (_, rest) = whole.split_once("<a href=\"/alice/dev/+f/").unwrap();
    let stored = house.get(&format!("/alice/dev/+f/{}", rest.split('"').next().unwrap())).await;
    assert!(stored.json()["testenvs"].is_array() || stored.json()["testenvs"].is_object());
    assert_eq!(browser.get("/alice/dev/demo/9.0/+toxresults").await.status, 404);
    house.api("PATCH", "/alice/dev", ALICE, json!({ "acl_read": ["alice"] })).await;
    assert_eq!(browser.get(page).await.status, 303);
    assert_eq!(Browser::logged_in(&house, BOB).await.get(page).await.status, 403);
    assert_eq!(Browser::logged_in(&house, ALICE).await.get(page).await.status, 200);
    house.end().await;
}
