use super::*;
use crate::simple::{File, ProjectPage, RequiresPython, Yanked};
use proptest::prelude::*;
use std::str::FromStr;

fn target(python: Option<&str>, platforms: &[&str]) -> Target {
    Target {
        python: python.map(|raw| raw.parse().unwrap()),
        platforms: platforms.iter().map(|raw| raw.parse().unwrap()).collect(),
    }
}

fn digest(byte: u8) -> Sha256 {
    Sha256::from_bytes([byte; 32])
}

/// Every file that the wishes name, with the digest's first byte.
fn files(wants: &Wants) -> Vec<(&str, &str, Option<u8>)> {
    let of = |wish: &'_ Wish| match &wish.what {
        What::Files(files) => files.clone(),
        What::Newest(_) => panic!("a lockfile names files"),
    };
    let name = |wish: &Wish| wish.project.as_str().to_owned();
    let all = wants.wishes.iter().flat_map(|wish| of(wish).into_iter().map(move |file| (name(wish), file)));
    let leak = |text: String| -> &'static str { text.leak() };
    all.map(|(project, file)| {
        let first = file.sha256.map(|digest| digest.as_bytes()[0]);
        (leak(project), leak(file.filename.to_string()), first)
    })
    .collect()
}

/// As uv 0.13 writes it.
const UV: &str = r#"
version = 1
revision = 5
requires-python = ">=3.10"
resolution-markers = ["python_full_version >= '3.11'", "python_full_version < '3.11'"]

[[package]]
name = "alpha"
version = "1.1"
source = { registry = "https://wheels.example/team/dev/+simple/" }
dependencies = [
    { name = "gamma", version = "1.0", source = { registry = "https://index.example/simple" }, marker = "python_full_version < '3.11'" },
]
wheels = [
    { url = "https://wheels.example/team/dev/+f/254/6aec744841283/alpha-1.1%2Bcu12-py3-none-any.whl", hash = "sha256:2546aec744841283449c8e089b8fd82cc385b8462144ae275bcd75cbcea49bc2", size = 983, upload-time = "2024-01-02T03:04:05Z" },
]

[[package]]
name = "consumer"
version = "1"
source = { virtual = "." }
dependencies = [{ name = "alpha" }]

[[package]]
name = "lib"
version = "1"
source = { editable = "packages/lib" }

[[package]]
name = "forked"
version = "1"
source = { git = "https://git.example/forked?rev=1#abc" }

[[package]]
name = "gamma"
version = "1.0"
source = { registry = "https://index.example/simple" }
resolution-markers = ["python_full_version < '3.11'"]
sdist = { url = "https://files.example/17/92/gamma-1.0.tar.gz", hash = "sha256:05f46c53c9e45a0d9f3566ded49bd05fcb347b4a3b30ccc67f2ba036c3f595f9", size = 875 }
wheels = [
    { url = "https://files.example/4b/6f/gamma-1.0-py3-none-any.whl", hash = "sha256:f8e2086e415c568fadbf58823f1c0bec6a6c3c2b426bb23a9328cf3c50a2c507", size = 938 },
]
"#;

#[test]
fn a_lockfile_of_uv_names_its_files_their_index_and_where_they_are_wanted() {
    let wants = lockfile(UV).unwrap();
    assert_eq!(
        files(&wants),
        [
            ("alpha", "alpha-1.1+cu12-py3-none-any.whl", Some(0x25)),
            ("gamma", "gamma-1.0-py3-none-any.whl", Some(0xf8)),
            ("gamma", "gamma-1.0.tar.gz", Some(0x05)),
        ]
    );
    let index = |wish: &Wish| wish.index.as_ref().map(|index| index.as_str().to_owned());
    assert_eq!(wants.wishes.iter().map(index).collect::<Vec<_>>(), [Some("team/dev".to_owned()), None]);
    assert_eq!(wants.left_out.len(), 1, "{:?}", wants.left_out);
    assert_eq!(wants.left_out[0].what, "forked");
    for (python, wanted) in [(Some("3.10"), true), (Some("3.12"), false), (None, true)] {
        assert_eq!(target(python, &["linux_x86_64"]).wants(&wants.wishes[1].markers), wanted, "{python:?}");
    }
}

#[test]
fn a_pylock_names_its_files() {
    // As `uv export --format pylock.toml` writes it, with what PEP 751 allows besides.
    let text = r#"
lock-version = "1.0"
created-by = "uv"
requires-python = ">=3.10"
[[packages]]
name = "Big.Wheel"
version = "1.0"
marker = "sys_platform == 'win32'"
index = "https://wheels.example/root/pypi/+simple/"
wheels = [{ url = "https://files.example/e3/big_wheel-1.0-py3-none-any.whl", upload-time = 2024-01-02T03:04:05Z, size = 3, hashes = { sha256 = "e86e9f7ab3031aaa1b244a25c1e53034629a15fa1620498ca614b17137193017" } }]
[[packages]]
name = "gamma"
version = "1.0"
marker = "'dev' in dependency_groups"
sdist = { name = "gamma-1.0.tar.gz", path = "sdists/x", hashes = { sha256 = "05f46c53c9e45a0d9f3566ded49bd05fcb347b4a3b30ccc67f2ba036c3f595f9" } }
[[packages]]
name = "local"
directory = { path = "local" }
[[packages]]
name = "archived"
archive = { url = "https://files.example/archived-1.zip", hashes = { sha256 = "00" } }
"#;
    let wants = lockfile(text).unwrap();
    assert_eq!(
        files(&wants),
        [("big-wheel", "big_wheel-1.0-py3-none-any.whl", Some(0xe8)), ("gamma", "gamma-1.0.tar.gz", Some(0x05))]
    );
    assert_eq!(wants.wishes[0].index.as_ref().unwrap().as_str(), "root/pypi");
    assert!(!target(None, &["linux_x86_64"]).wants(&wants.wishes[0].markers));
    assert!(target(None, &["linux_x86_64", "win_amd64"]).wants(&wants.wishes[0].markers));
    assert!(target(None, &["linux_x86_64"]).wants(&wants.wishes[1].markers), "what is not understood is wanted");
    let left_out: Vec<_> = wants.left_out.iter().map(|left| &*left.what).collect();
    assert_eq!(left_out, ["local", "archived"]);
}

#[test]
fn lockfiles_of_poetry_and_pdm_name_their_files() {
    // As poetry 2.5 and pdm 2.29 write them; the last table is poetry's own of before 1.5.
    let list = r#"
files = [
    {file = "gamma-1.0-py3-none-any.whl", hash = "sha256:f8e2086e415c568fadbf58823f1c0bec6a6c3c2b426bb23a9328cf3c50a2c507"},
    {file = "gamma-1.0.tar.gz", hash = "sha256:05f46c53c9e45a0d9f3566ded49bd05fcb347b4a3b30ccc67f2ba036c3f595f9"},
]"#;
    let package = "[[package]]\nname = \"gamma\"\nversion = \"1.0\"\n";
    let poetry = format!(
        "{package}markers = \"python_version < \\\"3.11\\\"\"{list}\n[package.source]\ntype = \"legacy\"\n\
         url = \"https://wheels.example/root/pypi/+simple\"\nreference = \"here\"\n[metadata]\nlock-version = \"2.1\"\n"
    );
    let pdm = format!("[metadata]\nlock_version = \"4.5.1\"\n{package}groups = [\"default\"]{list}");
    let old = format!("{package}[metadata]\n[metadata.files]\n{}", list.trim().replacen("files", "gamma", 1));
    let urls = pdm.replace("file = \"", "url = \"https://files.example/a/b/");
    for text in [&poetry, &pdm, &old, &urls] {
        let wants = lockfile(text).unwrap();
        let expected = [("gamma", "gamma-1.0-py3-none-any.whl", Some(0xf8)), ("gamma", "gamma-1.0.tar.gz", Some(0x05))];
        assert_eq!(files(&wants), expected, "{text}");
    }
    let wants = lockfile(&poetry).unwrap();
    assert_eq!(wants.wishes[0].index.as_ref().unwrap().as_str(), "root/pypi");
    assert!(!target(Some("3.12"), &["linux_x86_64"]).wants(&wants.wishes[0].markers));
    let git = format!("{package}{list}\n[package.source]\ntype = \"git\"\nurl = \"https://git.example/gamma.git\"\n");
    assert_eq!(lockfile(&git).unwrap().left_out.len(), 1);
}

#[test]
fn what_is_no_lockfile_says_so() {
    assert_eq!(lockfile("[tool.x]\ny = 1"), Err(WantsError::Unknown));
    assert!(matches!(lockfile("alpha==1.0"), Err(WantsError::Toml(_))));
    assert_eq!(lockfile("version = 1\nrequires-python = '>=3.10'"), Ok(Wants::default()));
    let odd =
        "[[package]]\nname = 'a b'\n[[package]]\nname = 'ok'\nwheels = [{ url = 'https://x/../' }]\n[[package]]\n";
    assert_eq!(lockfile(odd).unwrap().left_out.len(), 3);
}

/// What requirements wish: project, specifiers, hashes, whether there is a marker.
fn wished(read: &Requirements) -> Vec<(String, String, usize, bool)> {
    let one = |wish: &Wish| match &wish.what {
        What::Newest(newest) => {
            let specifiers = newest.specifiers.to_string();
            (wish.project.to_string(), specifiers, newest.hashes.len(), !wish.markers.is_empty())
        }
        What::Files(_) => panic!("requirements name no files"),
    };
    read.wishes.iter().map(one).collect()
}

#[test]
fn requirements_are_read_as_pip_reads_them() {
    let hash = "05f46c53c9e45a0d9f3566ded49bd05fcb347b4a3b30ccc67f2ba036c3f595f9";
    let text = format!(
        "\u{feff}# made by `uv pip compile --generate-hashes in.txt`\r\n\
         --index-url https://index.example/simple/\n-i https://index.example/simple/\n--require-hashes\n\
         alpha==1.1 \\\n    --hash=sha256:{hash}\n    # via -r in.txt\n\
         beta[fast,more] == 1.5 ; sys_platform == 'linux' \\\n    --hash=sha256:{hash} \\\n    --hash sha256:{hash} \\\n\
         \x20   --hash=sha512:{hash}{hash}\n    # via alpha\n\
         Zope.Interface>=5,<7  # a comment\ngamma\n  delta~=1.0;python_version<'3.9'\n\
         -r other.txt\n-rglued.txt\n--requirement=\"with space.txt\"\n-c constraints.txt\n\
         -e .\n./local\n../up.whl\nurl @ https://files.example/url-1.0.zip\nurl@https://files.example/x.zip\n\
         git+https://git.example/x.git#egg=x\n--pre\n--shoe 44\n-f https://files.example/\n\
         no requirement at all\nepsilon==1.0 # via \\\nzeta\n${{VARIABLE}}\nété==1\n"
    );
    let read = requirements(&text).unwrap();
    assert_eq!(
        wished(&read),
        [
            ("alpha", "==1.1", 1, false),
            ("beta", "==1.5", 2, true),
            ("zope-interface", ">=5, <7", 0, false),
            ("gamma", "", 0, false),
            ("delta", "~=1.0", 0, true),
            ("epsilon", "==1.0", 0, false),
            ("zeta", "", 0, false),
        ]
        .map(|(name, specifiers, hashes, marker)| (name.to_owned(), specifiers.to_owned(), hashes, marker))
    );
    let include = |path: &str, constraints| Include { path: path.to_owned(), constraints };
    assert_eq!(
        read.includes,
        [
            include("other.txt", false),
            include("glued.txt", false),
            include("with space.txt", false),
            include("constraints.txt", true)
        ]
    );
    assert!(read.pre);
    let left_out: Vec<_> = read.left_out.iter().map(|left| &*left.what).collect();
    assert_eq!(
        left_out,
        [
            "-e .",
            "./local",
            "../up.whl",
            "url @ https://files.example/url-1.0.zip",
            "url@https://files.example/x.zip",
            "git+https://git.example/x.git#egg=x",
            "--shoe 44",
            "-f https://files.example/",
            "no requirement at all",
            "${VARIABLE}",
            "été==1",
        ]
    );
}

#[test]
fn constraints_narrow_what_others_wish_and_wish_nothing() {
    let one = requirements("alpha>=1\nbeta\n--pre").unwrap();
    let other = requirements("gamma==1.0").unwrap();
    let constraints = requirements("alpha<2\ngamma<3; python_version < '3.9'\nunused==1").unwrap();
    let wants = Requirements::joined(vec![one, other], vec![constraints]);
    let joined = Requirements { wishes: wants.wishes, ..Requirements::default() };
    let told: Vec<_> = wished(&joined).into_iter().map(|(name, specifiers, ..)| (name, specifiers)).collect();
    let expected = [("alpha", ">=1, <2"), ("beta", ""), ("gamma", "==1.0")];
    assert_eq!(told, expected.map(|(name, specifiers)| (name.to_owned(), specifiers.to_owned())));
}

#[test]
fn wheels_suit_a_python_and_a_platform() {
    let linux = target(Some("3.12"), &["linux_x86_64"]);
    for (tags, suits) in [
        ("cp312-cp312-manylinux_2_17_x86_64.manylinux2014_x86_64", true),
        ("cp312-cp312-linux_x86_64", true),
        ("cp312-cp312t-manylinux_2_17_x86_64", false),
        ("cp311-cp311-manylinux_2_17_x86_64", false),
        ("cp39-abi3-manylinux_2_34_x86_64", true),
        ("cp313-abi3-manylinux_2_17_x86_64", false),
        ("py3-none-any", true),
        ("py2.py3-none-any", true),
        ("py39-none-any", true),
        ("py2-none-any", false),
        ("py3-none-manylinux1_x86_64", true),
        ("py3-none-musllinux_1_2_x86_64", false),
        ("py3-none-manylinux_2_17_aarch64", false),
        ("py3-none-macosx_11_0_arm64", false),
        ("py3-none-win_amd64", false),
        ("pp310-pypy310_pp73-manylinux_2_17_x86_64", false),
    ] {
        assert_eq!(suits_tags(&linux, tags), suits, "{tags}");
    }
    for (platform, tag, takes) in [
        ("manylinux_2_17_x86_64", "manylinux_2_28_x86_64", false),
        ("manylinux_2_28_x86_64", "manylinux2014_x86_64", true),
        ("manylinux2014_x86_64", "manylinux1_x86_64", true),
        ("musllinux_x86_64", "musllinux_1_2_x86_64", true),
        ("musllinux_1_1_x86_64", "musllinux_1_2_x86_64", false),
        ("macos_arm64", "macosx_11_0_universal2", true),
        ("macosx_13_0_arm64", "macosx_14_0_arm64", false),
        ("macos_x86_64", "macosx_10_9_intel", true),
        ("macos_arm64", "macosx_10_9_intel", false),
        ("win_amd64", "win_amd64", true),
        ("win_arm64", "win_amd64", false),
        ("win32", "win32", true),
        ("linux_x86_64", "any", true),
    ] {
        let platform: Platform = platform.parse().unwrap();
        assert_eq!(platform.takes(tag), takes, "{platform:?} {tag}");
    }
    for bad in ["", "linux", "linux_", "solaris_sparc", "linux_x86-64", "x86_64 "] {
        assert!(Platform::from_str(bad).is_err(), "{bad}");
    }
    for bad in ["", "3", "2.7", "3.x", "3.1000", "cp312"] {
        assert!(Python::from_str(bad).is_err(), "{bad}");
    }
    assert!(Platform::of_machine("linux", "x86_64").is_some() && Platform::of_machine("macos", "aarch64").is_some());
    assert_eq!(Platform::of_machine("plan9", "x86_64"), None);
}

fn suits_tags(target: &Target, tags: &str) -> bool {
    let mut parts = tags.split('-');
    let mut next = || parts.next().unwrap();
    target.suits((next(), next(), next())).is_some()
}

fn page(files: &[(&str, u8)]) -> ProjectPage {
    let mut page = ProjectPage::new(ProjectName::parse("demo").unwrap());
    page.files = files
        .iter()
        .map(|(name, byte)| {
            let url = format!("https://files.example/{name}");
            let mut file = File::new(DistFilename::parse(name).unwrap(), url);
            file.sha256 = Some(digest(*byte));
            file
        })
        .collect();
    page
}

fn newest(requirement: &str) -> Wish {
    requirements(requirement).unwrap().wishes.remove(0)
}

fn chosen(page: &ProjectPage, wish: &Wish, target: &Target) -> Result<Vec<String>, NotFound> {
    let (found, missing) = choose(page, wish, target, false);
    match missing.into_iter().next() {
        Some(why) => Err(why),
        None => Ok(found.iter().map(|file| file.filename.to_string()).collect()),
    }
}

#[test]
fn the_best_files_of_the_newest_release_are_chosen() {
    let mut page = page(&[
        ("demo-1.0-py3-none-any.whl", 1),
        ("demo-1.1.tar.gz", 2),
        ("demo-1.1-cp312-cp312-manylinux_2_17_x86_64.whl", 3),
        ("demo-1.1-cp312-cp312-manylinux_2_28_x86_64.whl", 4),
        ("demo-1.1-cp39-abi3-manylinux_2_17_x86_64.whl", 5),
        ("demo-1.1-cp312-cp312-win_amd64.whl", 6),
        ("demo-1.2.zip", 7),
        ("demo-2.0rc1-py3-none-any.whl", 8),
        ("demo-3.0-py3-none-any.whl", 9),
        ("demo-4.0-py3-none-any.whl", 10),
    ]);
    page.files[8].yanked = Yanked::Yes;
    page.files[9].requires_python = RequiresPython::Specifier(">=3.13".into());
    let linux = target(Some("3.12"), &["linux_x86_64"]);
    let ok = |names: &[&str]| Ok(names.iter().map(|name| (*name).to_owned()).collect());
    let both = ["demo-1.1-cp312-cp312-manylinux_2_17_x86_64.whl", "demo-1.1-cp312-cp312-manylinux_2_28_x86_64.whl"];
    for (wish, expected) in [
        ("demo==1.1", ok(&both)),
        ("demo", ok(&["demo-1.2.zip"])),
        ("demo<1.2", ok(&both)),
        ("demo~=1.0.0", ok(&["demo-1.0-py3-none-any.whl"])),
        ("demo>=2.0rc1", ok(&["demo-2.0rc1-py3-none-any.whl"])),
        ("demo==3.0", ok(&["demo-3.0-py3-none-any.whl"])),
        ("demo>=2,<4", Err(NotFound::Release(page.name.clone(), ">=2, <4".to_owned()))),
        ("demo==4.0", Err(NotFound::Suiting(page.name.clone()))),
        ("demo==9", Err(NotFound::Release(page.name.clone(), "==9".to_owned()))),
    ] {
        assert_eq!(chosen(&page, &newest(wish), &linux), expected, "{wish}");
    }
    let other = target(Some("3.8"), &["linux_aarch64"]);
    assert_eq!(chosen(&page, &newest("demo==1.1"), &other), ok(&["demo-1.1.tar.gz"]), "built from its source");
    assert_eq!(chosen(&page, &newest("demo>=2"), &target(Some("3.13"), &[])), ok(&["demo-4.0-py3-none-any.whl"]));
    // A digest pins the file.
    let hashed = format!("demo==1.1 --hash=sha256:{}", digest(2).to_hex());
    assert_eq!(chosen(&page, &newest(&hashed), &linux), ok(&["demo-1.1.tar.gz"]));
    let unknown = format!("demo==1.1 --hash=sha256:{}", digest(77).to_hex());
    assert_eq!(chosen(&page, &newest(&unknown), &linux), Err(NotFound::Suiting(page.name.clone())));
}

#[test]
fn what_a_lockfile_names_is_taken_as_it_says() {
    let page =
        page(&[("demo-1.0-py3-none-any.whl", 1), ("demo-1.0.tar.gz", 2), ("demo-1.0-cp312-cp312-win_amd64.whl", 3)]);
    let locked =
        |name: &str, byte| LockedFile { filename: DistFilename::parse(name).unwrap(), sha256: Some(digest(byte)) };
    let wish = |files| Wish { project: page.name.clone(), index: None, what: What::Files(files), markers: Vec::new() };
    let linux = target(Some("3.12"), &["linux_x86_64"]);
    let all = wish(vec![
        locked("demo-1.0.tar.gz", 2),
        locked("demo-1.0-py3-none-any.whl", 1),
        locked("demo-1.0-cp312-cp312-win_amd64.whl", 3),
    ]);
    assert_eq!(chosen(&page, &all, &linux).unwrap(), ["demo-1.0-py3-none-any.whl"]);
    assert_eq!(choose(&page, &all, &Target::default(), true).0.len(), 3);
    let win_and_source = wish(vec![locked("demo-1.0.tar.gz", 2), locked("demo-1.0-cp312-cp312-win_amd64.whl", 3)]);
    assert_eq!(chosen(&page, &win_and_source, &linux).unwrap(), ["demo-1.0.tar.gz"]);
    let other = DistFilename::parse("demo-1.0-py3-none-any.whl").unwrap();
    let wrong = wish(vec![locked("demo-1.0-py3-none-any.whl", 9)]);
    assert_eq!(chosen(&page, &wrong, &linux), Err(NotFound::OtherBytes(other)));
    let gone = wish(vec![locked("demo-0.9.tar.gz", 9)]);
    assert_eq!(chosen(&page, &gone, &linux), Err(NotFound::File(DistFilename::parse("demo-0.9.tar.gz").unwrap())));
}

#[test]
fn deep_and_long_texts_are_refused_and_not_thought_through() {
    let deep = format!("demo; {}python_version > '3'{}", "(".repeat(100_000), ")".repeat(100_000));
    assert_eq!(requirements(&deep).unwrap().left_out.len(), 1);
    let arrays = format!("packages = {}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(matches!(lockfile(&arrays), Err(WantsError::Toml(_))));
    assert_eq!(requirements(&"x".repeat(FILE_BYTES_MAX + 1)), Err(WantsError::TooLarge));
    assert_eq!(requirements(&"a\n".repeat(WISHES_MAX + 1)), Err(WantsError::TooMany));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn no_text_is_too_much_for_the_readers(text in "(?s).{0,300}") {
        let _ = requirements(&text);
        let _ = lockfile(&text);
        let _ = text.parse::<Platform>();
        let _ = text.parse::<Python>();
    }

    #[test]
    fn no_requirement_is_too_much(
        text in r"[-a-zA-Z0-9_.]{0,8}(\[[a-z,]{0,5}\])? ?([=<>!~]{1,3} ?[-0-9a-z.*+!]{0,8},?){0,3} ?;? ?(\(*(python_version|os_name|extra|'[a-z]*') ?(==|<|in|not in|~=)? ?['a-z0-9.\\]{0,6}\)* ?(and|or)? ?){0,3}(--hash=sha256:[0-9a-f]{0,66})?(#.*)?\\?\n?"
    ) {
        let read = requirements(&text).unwrap();
        let page = page(&[("demo-1.0-py3-none-any.whl", 1), ("demo-2.0a1.tar.gz", 2)]);
        for wish in &read.wishes {
            let _ = choose(&page, wish, &target(Some("3.12"), &["linux_x86_64"]), false);
            let _ = target(None, &["win_amd64"]).wants(&wish.markers);
        }
    }

    #[test]
    fn no_shape_of_a_lockfile_is_too_much(
        key in "(name|source|wheels|files|sdist|hash|url|marker|index|git|metadata)",
        value in r#"(1|"[a-z0-9./:'<= -]{0,20}"|\[\]|\{\}|\[1\]|\{ (registry|url|type|hash|file) = ("[a-z0-9./:-]{0,20}"|1) \}|\[\{ (url|file|name|hashes) = ("[a-z0-9./-]{0,12}(\.whl|\.tar\.gz)"|1|\{\}) \}\])"#,
    ) {
        let _ = lockfile(&format!("version = 1\n[[package]]\nname = \"demo\"\n{key} = {value}\n"));
        let _ = lockfile(&format!("version = 1\n[[packages]]\n{key} = {value}\n"));
    }
}
