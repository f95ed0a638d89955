use super::*;
use proptest::prelude::*;

fn wish(index: &str) -> Wish {
    Wish {
        base: "http://127.0.0.1:3141".to_owned(),
        index: IndexName::parse(index).unwrap(),
        stage: index != "root/pypi",
        username: None,
    }
}

/// The edited text; undone it is the old one, and a second edit changes nothing.
fn edited(tool: Tool, place: Place, pyproject: bool, text: &str) -> String {
    let wish = wish(if matches!(tool, Tool::Twine) { "alice/dev" } else { "root/pypi" });
    let (new, splices) =
        edit(tool, place, pyproject, text, &wish).unwrap_or_else(|why| panic!("{tool}: {why}\n{text}"));
    assert_eq!(undo(&new, &splices, false).as_deref(), Ok(text), "{tool}: undone\n{new}");
    let (again, none) = edit(tool, place, pyproject, &new, &wish).unwrap();
    assert_eq!((again.as_str(), none.len()), (new.as_str(), 0), "{tool}: a second time");
    new
}

const OURS: &str = "http://127.0.0.1:3141/root/pypi/+simple/";

#[test]
fn pip_is_told_in_global_and_where_a_command_says_otherwise() {
    let user = |text: &str| edited(Tool::Pip, Place::User, false, text);
    assert_eq!(user(""), format!("[global]\nindex-url = {OURS}\n"));
    assert_eq!(
        user(
            "# mine\n[global]\ntimeout = 5\nindex_url: https://old.example/simple\n  # kept\n[install]\nindex-url=x\n"
        ),
        format!("# mine\n[global]\ntimeout = 5\nindex_url: {OURS}\n  # kept\n[install]\nindex-url= {OURS}\n")
    );
    assert_eq!(
        user("[install]\r\ntrusted-host =\r\n    a\r\n    b"),
        format!("[install]\r\ntrusted-host =\r\n    a\r\n    b\r\n\r\n[global]\r\nindex-url = {OURS}\r\n")
    );
    assert_eq!(user("[global]"), format!("[global]\nindex-url = {OURS}\n"));
}

#[test]
fn uv_has_one_default_index() {
    let user = |text: &str| edited(Tool::Uv, Place::User, false, text);
    let block = format!("[[index]]\nname = \"sidewheel\"\nurl = \"{OURS}\"\ndefault = true\n");
    assert_eq!(user(""), block);
    assert_eq!(user("offline = false # no"), format!("offline = false # no\n\n{block}"));
    assert_eq!(
        user("[[index]]\nurl = 'https://old.example/simple' # ours\ndefault = true\n[pip]\nindex-url = \"x\"\n"),
        format!("[[index]]\nurl = \"{OURS}\" # ours\ndefault = true\n[pip]\nindex-url = \"{OURS}\"\n")
    );
    assert_eq!(user("index-url = \"x\"\n\n[pip]\n"), format!("index-url = \"{OURS}\"\n\n[pip]\n"));
    assert_eq!(
        user("[[index]]\nname = \"d\"\nurl = \"https://devpi.example/root/pypi/+simple/\"\n\n[[index]]\nurl = \"y\"\n"),
        format!("[[index]]\nname = \"d\"\nurl = \"{OURS}\"\ndefault = true\n\n[[index]]\nurl = \"y\"\n")
    );
    assert_eq!(
        user("index = [{ url = \"x\", default = true }]\n"),
        format!("index = [{{ url = \"{OURS}\", default = true }}]\n")
    );
    let project = edited(Tool::Uv, Place::Project, true, "[project]\nname = \"a\"\n[tool.uv]\npackage = false\n");
    assert!(project.ends_with(&format!("package = false\n\n{}", block.replace("[[index]]", "[[tool.uv.index]]"))));
    let refused = edit(Tool::Uv, Place::User, false, "index = [{ url = \"x\" }]\n", &wish("root/pypi"));
    assert!(matches!(refused, Err(EditError::Form { .. })), "{refused:?}");
    assert!(matches!(edit(Tool::Uv, Place::User, false, "a = = 1", &wish("root/pypi")), Err(EditError::Toml(_))));
}

#[test]
fn poetry_and_pdm_take_a_source_of_the_project_or_the_users_setting() {
    let pyproject = "[project]\nname = \"a\" # é\n";
    let poetry = edited(Tool::Poetry, Place::Project, true, pyproject);
    let source = "[[tool.poetry.source]]\nname = \"sidewheel\"";
    assert_eq!(poetry, format!("{pyproject}\n{source}\nurl = \"{OURS}\"\npriority = \"primary\"\n"));
    let pdm = edited(Tool::Pdm, Place::Project, true, pyproject);
    assert_eq!(
        pdm,
        format!("{pyproject}\n[[tool.pdm.source]]\nname = \"pypi\"\nurl = \"{OURS}\"\nverify_ssl = true\n")
    );
    let user = |text: &str| edited(Tool::Pdm, Place::User, false, text);
    assert_eq!(user("check_update = false\n"), format!("check_update = false\n\n[pypi]\nurl = \"{OURS}\"\n"));
    assert_eq!(user("[pypi]\nverify_ssl = true"), format!("[pypi]\nurl = \"{OURS}\"\nverify_ssl = true"));
    assert_eq!(user("[pypi]"), format!("[pypi]\nurl = \"{OURS}\"\n"));
    for text in ["pypi.verify_ssl = true\n", "pypi = { verify_ssl = true }\n"] {
        let refused = edit(Tool::Pdm, Place::User, false, text, &wish("root/pypi"));
        assert!(matches!(refused, Err(EditError::Form { .. })), "{refused:?}");
    }
}

#[test]
fn twine_keeps_what_it_knew_and_is_told_no_password() {
    assert_eq!(
        edited(Tool::Twine, Place::User, false, ""),
        "[distutils]\nindex-servers =\n    pypi\n    testpypi\n    sidewheel\n\n[sidewheel]\nusername = alice\n\
         repository = http://127.0.0.1:3141/alice/dev/\n"
    );
    let known = "[distutils]\nindex-servers =\n    pypi\n    corp\n[corp]\npassword = s\n";
    let new = edited(Tool::Twine, Place::User, false, known);
    assert!(
        new.starts_with("[distutils]\nindex-servers =\n    pypi\n    corp\n    sidewheel\n[corp]\npassword = s\n"),
        "{new}"
    );
    let refused = edit(Tool::Twine, Place::User, false, "", &wish("root/pypi"));
    assert!(matches!(refused, Err(EditError::NotHere(_))), "{refused:?}");
}

#[test]
fn devpi_client_is_told_as_devpi_use_does() {
    let known = "{\n  \"index\": \"http://devpi.example/root/pypi\",\n  \"username\": \"alice\"\n}";
    let new = edited(Tool::Devpi, Place::User, false, known);
    assert_eq!(json::get(&new, "index").as_deref(), Some("http://127.0.0.1:3141/root/pypi"));
    assert_eq!(json::get(&new, "username").as_deref(), Some("alice"));
    let fresh = edited(Tool::Devpi, Place::User, false, "");
    assert_eq!(json::get(&fresh, "simpleindex").as_deref(), Some(OURS));
    assert_eq!(edit(Tool::Devpi, Place::User, false, "[]", &wish("root/pypi")), Err(EditError::Json));
}

#[test]
fn undo_leaves_what_was_edited_elsewhere_and_refuses_what_was_edited_here() {
    let text = "[global]\ntimeout = 5\n";
    let (new, splices) = edit(Tool::Pip, Place::User, false, text, &wish("root/pypi")).unwrap();
    let elsewhere = format!("# new\n{new}retries = 9\n[list]\nformat = columns\n");
    let undone = undo(&elsewhere, &splices, false).unwrap();
    assert_eq!(undone, "# new\n[global]\ntimeout = 5\nretries = 9\n[list]\nformat = columns\n");
    let here = new.replace("3141", "8080");
    let refused = undo(&here, &splices, false).unwrap_err();
    assert!(matches!(&refused, Changed::Value { now, .. } if now.contains("8080")), "{refused}");
    assert_eq!(undo(&here, &splices, true).as_deref(), Ok(text));
    assert!(matches!(undo(text, &splices, false), Err(Changed::Gone { .. })));
    assert_eq!(undo(text, &splices, true).as_deref(), Ok(text));

    // A section that we made and that somebody took into use stays.
    let (new, splices) = edit(Tool::Pip, Place::User, false, "[list]\n", &wish("root/pypi")).unwrap();
    let used = format!("{new}timeout = 5\n");
    assert_eq!(undo(&used, &splices, false).unwrap(), "[list]\n\n[global]\ntimeout = 5\n");

    let text = "[[index]]\nname = \"a\"\nurl = \"x\"\n";
    let (new, splices) = edit(Tool::Uv, Place::User, false, text, &wish("root/pypi")).unwrap();
    let block = new.strip_prefix(text).unwrap();
    let moved = format!("offline = true\n{block}{text}[pip]\nx = 1\n");
    assert_eq!(undo(&moved, &splices, false).unwrap(), format!("offline = true\n{text}[pip]\nx = 1\n"));
}

#[test]
fn what_configparser_does_not_read_is_not_edited() {
    for (text, line) in
        [("a = 1\n", 1), ("[a]\n    more", 2), ("[a]\nb = 1\n\nword\n", 4), ("[a]\n  # fine\n  b = 1", 3)]
    {
        assert_eq!(edit(Tool::Pip, Place::User, false, text, &wish("root/pypi")), Err(EditError::Ini(line)), "{text}");
    }
}

#[test]
fn shells_quote_what_they_are_given() {
    for (shell, set, unset) in [
        (Shell::Sh, r"export A='a'\''b'", "unset A"),
        (Shell::Fish, r"set -gx A 'a\'b'", "set -e A"),
        (Shell::Powershell, "$env:A = 'a''b'", "Remove-Item Env:A -ErrorAction SilentlyContinue"),
        (Shell::Github, "A=a'b", "A="),
        (Shell::Dotenv, "A=\"a'b\"", "# A"),
    ] {
        assert_eq!((shell.set("A", "a'b"), shell.unset("A")), (set.to_owned(), unset.to_owned()));
    }
}

#[test]
fn files_are_where_the_tools_look() {
    let env = |pairs: &[(&str, &str)]| pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
    let here = std::path::Path::new("/p");
    let home = env(&[("HOME", "/h")]);
    let linux = Machine { env: &home, macos: false, here };
    let macos = Machine { macos: true, ..linux };
    let first = |machine: Machine<'_>, tool| machine.files(tool, Place::User).unwrap()[0].display().to_string();
    for (tool, on_linux, on_macos) in [
        (Tool::Uv, "/h/.config/uv/uv.toml", "/h/.config/uv/uv.toml"),
        (Tool::Pip, "/h/.config/pip/pip.conf", "/h/Library/Application Support/pip/pip.conf"),
        (Tool::Pdm, "/h/.config/pdm/config.toml", "/h/Library/Application Support/pdm/config.toml"),
        (Tool::Poetry, "/h/.config/pypoetry/config.toml", "/h/Library/Application Support/pypoetry/config.toml"),
        (Tool::Twine, "/h/.pypirc", "/h/.pypirc"),
        (Tool::Devpi, "/h/.devpi/client/current.json", "/h/.devpi/client/current.json"),
    ] {
        assert_eq!((first(linux, tool), first(macos, tool)), (on_linux.to_owned(), on_macos.to_owned()), "{tool}");
    }
    let told = env(&[("HOME", "/h"), ("XDG_CONFIG_HOME", "/x"), ("PIP_CONFIG_FILE", "/f"), ("UV_CONFIG_FILE", "/u")]);
    let told = Machine { env: &told, ..linux };
    assert_eq!((first(told, Tool::Pip), first(told, Tool::Uv)), ("/f".to_owned(), "/u".to_owned()));
    assert_eq!(first(told, Tool::Pdm), "/x/pdm/config.toml");
    assert!(linux.files(Tool::Pip, Place::Project).is_err());
}

fn ini_text() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        Just("[global]".to_owned()),
        Just("[install]".to_owned()),
        Just("[distutils]".to_owned()),
        Just("[sidewheel]".to_owned()),
        "[a-z-]{1,6} ?[=:] ?[a-z:/=]{0,8}",
        Just("index-url = https://old.example/".to_owned()),
        Just("index-servers =".to_owned()),
        Just("    more".to_owned()),
        Just("# note".to_owned()),
        Just(String::new()),
        Just("  ".to_owned()),
    ];
    (proptest::collection::vec(line, 0..12), any::<bool>(), any::<bool>()).prop_map(|(lines, crlf, closed)| {
        let end = if crlf { "\r\n" } else { "\n" };
        lines.join(end) + if closed { end } else { "" }
    })
}

fn toml_text() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        Just("[[index]]\nname = \"a\"\nurl = \"x\"".to_owned()),
        Just("[[index]]\nurl = \"https://d.example/root/pypi/+simple\"".to_owned()),
        Just("[[index]]\nname = \"b\"\nurl = 'y'\ndefault = true # kept".to_owned()),
        Just("[pip]\nindex-url = 'z'".to_owned()),
        Just("[pypi]".to_owned()),
        Just("[[tool.poetry.source]]\nname = \"c\"\nurl = \"w\"".to_owned()),
        Just("  [other] # é".to_owned()),
        Just("# note".to_owned()),
        Just(String::new()),
    ];
    (proptest::collection::vec(line, 0..6), any::<bool>(), any::<bool>()).prop_map(|(lines, crlf, closed)| {
        let text = lines.join("\n") + if closed { "\n" } else { "" };
        if crlf { text.replace('\n', "\r\n") } else { text }
    })
}

proptest! {
    /// Edit and undo give the same bytes; a second edit changes nothing.
    #[test]
    fn every_edit_can_be_taken_back(ini in ini_text(), toml in toml_text(), other in ".{0,60}") {
        for (tool, place, text) in [
            (Tool::Pip, Place::User, &ini), (Tool::Twine, Place::User, &ini), (Tool::Pip, Place::User, &other),
            (Tool::Uv, Place::User, &toml), (Tool::Pdm, Place::User, &toml), (Tool::Poetry, Place::Project, &toml),
            (Tool::Uv, Place::User, &other), (Tool::Devpi, Place::User, &other),
        ] {
            let wish = wish(if tool == Tool::Twine { "alice/dev" } else { "root/pypi" });
            let Ok((new, splices)) = edit(tool, place, false, text, &wish) else { continue };
            prop_assert_eq!(undo(&new, &splices, false), Ok(text.clone()), "{} {:?}", tool, new);
            let (again, none) = edit(tool, place, false, &new, &wish).unwrap();
            prop_assert_eq!((&again, none.len()), (&new, 0), "{} twice {:?}", tool, text);
        }
    }
}
