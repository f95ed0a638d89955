//! Reading and writing of project pages of three sizes, and what compression of the middle one costs.
//!
//! `cargo bench --bench pages`; one case by name: `cargo bench --bench pages -- render_json`.

mod page;

use divan::Bencher;
use divan::counter::BytesCount;
use page::page_json;
use sidewheel::names::ProjectName;
use sidewheel::simple::{self, PageReader, ProjectPage};
use std::io::Write as _;
use url::Url;

/// Numbers of files: a small project (13 KB of JSON), a large one (2.5 MB), and more than any public one.
const SIZES: [usize; 3] = [22, LARGE, 40_000];
const LARGE: usize = 4_300;
const BASE: &str = "../../";
/// Each with what the server takes for a large page first (`index/packing.rs`).
const LEVELS_ZSTD: [i32; 3] = [1, 3, 6];
const LEVELS_GZIP: [u32; 3] = [2, 1, 6];
const LEVELS_BROTLI: [u32; 2] = [2, 5];
/// About what arrives at once.
const PIECE_BYTES: usize = 64 * 1024;
const WINDOW_BITS_BROTLI: u32 = 22;

fn main() {
    divan::main();
}

/// A page in the forms that it has.
struct Forms {
    url: Url,
    name: ProjectName,
    json: String,
    page: ProjectPage,
}

impl Forms {
    fn of(files: usize) -> Self {
        let url = Url::parse("https://index.example/simple/demo/").expect("a URL");
        let name = ProjectName::parse("demo").expect("a name");
        let json = page_json(files);
        let page = simple::parse_json(json.as_bytes(), &url, &name).expect("a page");
        assert_eq!((page.files.len(), page.dropped), (files, 0), "the generated page must be read whole");
        Self { url, name, json, page }
    }

    /// Measures `work` beside the bytes of the page's JSON.
    fn measure<O>(&self, bencher: Bencher, work: impl Fn() -> O + Sync) {
        bencher.counter(BytesCount::of_str(&self.json)).bench_local(work);
    }
}

#[divan::bench(args = SIZES, sample_count = 20)]
fn parse_json(bencher: Bencher, files: usize) {
    let it = Forms::of(files);
    it.measure(bencher, || simple::parse_json(it.json.as_bytes(), &it.url, &it.name));
}

#[divan::bench(args = SIZES, sample_count = 20)]
fn parse_json_in_pieces(bencher: Bencher, files: usize) {
    let it = Forms::of(files);
    it.measure(bencher, || {
        let mut reader = PageReader::new(&it.url, &it.name);
        let read: Result<(), _> = it.json.as_bytes().chunks(PIECE_BYTES).try_for_each(|piece| reader.read(piece));
        read.and_then(|()| reader.finish(&[]))
    });
}

#[divan::bench(args = SIZES, sample_count = 20)]
fn parse_html(bencher: Bencher, files: usize) {
    let it = Forms::of(files);
    let html = simple::render_html(&it.page, BASE);
    it.measure(bencher, || simple::parse_html(&html, &it.url, &it.name));
}

#[divan::bench(args = SIZES, sample_count = 20)]
fn from_stored(bencher: Bencher, files: usize) {
    let it = Forms::of(files);
    let stored = simple::to_stored(&it.page);
    it.measure(bencher, || simple::from_stored(&stored));
}

#[divan::bench(args = SIZES, sample_count = 20)]
fn render_json(bencher: Bencher, files: usize) {
    let it = Forms::of(files);
    it.measure(bencher, || simple::render_json(&it.page, BASE));
}

#[divan::bench(args = SIZES, sample_count = 20)]
fn write_page_json(bencher: Bencher, files: usize) {
    let it = Forms::of(files);
    it.measure(bencher, || simple::write_page_json(&it.page, BASE, &mut std::io::sink()));
}

#[divan::bench(args = SIZES, sample_count = 20)]
fn render_html(bencher: Bencher, files: usize) {
    let it = Forms::of(files);
    it.measure(bencher, || simple::render_html(&it.page, BASE));
}

#[divan::bench(args = LEVELS_ZSTD, sample_count = 10)]
fn zstd_of_large(bencher: Bencher, level: i32) {
    compress(bencher, "zstd", level, |body| zstd::bulk::compress(body, level).expect("zstd"));
}

#[divan::bench(args = LEVELS_GZIP, sample_count = 10)]
fn gzip_of_large(bencher: Bencher, level: u32) {
    compress(bencher, "gzip", level, |body| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(level));
        encoder.write_all(body).and_then(|()| encoder.finish()).expect("gzip")
    });
}

#[divan::bench(args = LEVELS_BROTLI, sample_count = 10)]
fn brotli_of_large(bencher: Bencher, level: u32) {
    compress(bencher, "brotli", level, |body| {
        let mut out = Vec::new();
        let mut encoder = brotli::CompressorWriter::new(&mut out, PIECE_BYTES, level, WINDOW_BITS_BROTLI);
        encoder.write_all(body).expect("brotli");
        drop(encoder);
        out
    });
}

/// Measures `pack`, and says how small it makes the rendered page.
fn compress(bencher: Bencher, name: &str, level: impl std::fmt::Display, pack: impl Fn(&[u8]) -> Vec<u8> + Sync) {
    let body = simple::render_json(&Forms::of(LARGE).page, BASE);
    eprintln!("{name} {level}: {} of {} bytes", pack(&body).len(), body.len());
    bencher.counter(BytesCount::of_slice(&body)).bench_local(|| pack(&body));
}
