//! The page that is read and written over and over.

use std::fmt::Write;

/// A page as the public index writes it, with digests that do not compress, as real ones.
pub fn page_json(files: usize) -> String {
    let mut page = String::from(r#"{"meta":{"_last-serial":1,"api-version":"1.4"},"name":"demo","versions":["#);
    for version in 0..=files / 10 {
        let comma = if version > 0 { "," } else { "" };
        let _ = write!(page, "{comma}\"1.{version}.0\"");
    }
    page.push_str("],\"files\":[");
    let mut seed = 1u64;
    let mut digest = || -> String {
        (0..4)
            .map(|_| {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                format!("{:016x}", seed ^ (seed >> 29))
            })
            .collect()
    };
    for number in 0..files {
        let comma = if number > 0 { "," } else { "" };
        let (sha256, metadata, place) = (digest(), digest(), digest());
        let (version, python) = (number / 10, 5 + number % 10);
        let (a, rest) = place.split_at(2);
        let filename =
            format!("demo-1.{version}.0-cp3{python}-cp3{python}-manylinux_2_17_x86_64.manylinux2014_x86_64.whl");
        let _ = write!(
            page,
            r#"{comma}{{"core-metadata":{{"sha256":"{metadata}"}},"data-dist-info-metadata":{{"sha256":"{metadata}"}},"filename":"{filename}","hashes":{{"sha256":"{sha256}"}},"provenance":null,"requires-python":">=3.{python}","size":{number},"upload-time":"2026-01-02T03:04:05.{number:06}Z","url":"https://files.example/packages/{a}/{rest}/{filename}","yanked":false}}"#
        );
    }
    page.push_str("]}");
    page
}
