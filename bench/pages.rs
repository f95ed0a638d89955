//! Reading and writing of project pages of three sizes, and what compression of the middle one costs.
//!
//! `cargo bench --bench pages`; one case by name: `cargo bench --bench pages -- render_json`.

mod page;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use page::page_json;
use sidewheel::names::ProjectName;
use sidewheel::simple::{
    PageReader, from_stored, parse_html, parse_json, render_html, render_json, to_stored, write_page_json,
};
use std::hint::black_box;
use std::io::Write as _;
use url::Url;

/// Numbers of files: a small project (13 KB of JSON), a large one (2.5 MB), and more than any public one.
const SIZES: [(&str, usize); 3] = [("13KB", 22), ("2.5MB", 4_300), ("40000files", 40_000)];
const BASE: &str = "../../";
/// Each with what the server takes for a large page first (`index/packing.rs`).
const LEVELS_ZSTD: [i32; 3] = [1, 3, 6];
const LEVELS_GZIP: [u32; 3] = [2, 1, 6];
const LEVELS_BROTLI: [u32; 2] = [2, 5];
/// About what arrives at once.
const PIECE_BYTES: usize = 64 * 1024;
const WINDOW_BITS_BROTLI: u32 = 22;

fn pages(criterion: &mut Criterion) {
    let (Ok(url), Ok(name)) = (Url::parse("https://index.example/simple/demo/"), ProjectName::parse("demo")) else {
        return;
    };
    let mut group = criterion.benchmark_group("pages");
    group.sample_size(20);
    for (label, files) in SIZES {
        let json = page_json(files);
        let Ok(page) = parse_json(json.as_bytes(), &url, &name) else { continue };
        assert_eq!((page.files.len(), page.dropped), (files, 0), "the generated page must be read whole");
        let (stored, html) = (to_stored(&page), render_html(&page, BASE));
        group.throughput(Throughput::Bytes(json.len() as u64));
        group.bench_with_input(BenchmarkId::new("parse_json", label), &json, |bencher, json| {
            bencher.iter(|| parse_json(black_box(json.as_bytes()), &url, &name));
        });
        group.bench_with_input(BenchmarkId::new("parse_json_in_pieces", label), &json, |bencher, json| {
            bencher.iter(|| {
                let mut reader = PageReader::new(&url, &name);
                let read: Result<(), _> =
                    black_box(json.as_bytes()).chunks(PIECE_BYTES).try_for_each(|piece| reader.read(piece));
                read.and_then(|()| reader.finish(&[]))
            });
        });
        group.bench_with_input(BenchmarkId::new("parse_html", label), &html, |bencher, html| {
            bencher.iter(|| parse_html(black_box(html), &url, &name));
        });
        group.bench_with_input(BenchmarkId::new("from_stored", label), &stored, |bencher, stored| {
            bencher.iter(|| from_stored(black_box(stored)));
        });
        group.bench_with_input(BenchmarkId::new("render_json", label), &page, |bencher, page| {
            bencher.iter(|| render_json(black_box(page), BASE));
        });
        group.bench_with_input(BenchmarkId::new("write_page_json", label), &page, |bencher, page| {
            bencher.iter(|| write_page_json(black_box(page), BASE, &mut std::io::sink()));
        });
        group.bench_with_input(BenchmarkId::new("render_html", label), &page, |bencher, page| {
            bencher.iter(|| render_html(black_box(page), BASE));
        });
    }
    group.finish();
}

fn compression(criterion: &mut Criterion) {
    let (Ok(url), Ok(name)) = (Url::parse("https://index.example/simple/demo/"), ProjectName::parse("demo")) else {
        return;
    };
    let Ok(page) = parse_json(page_json(SIZES[1].1).as_bytes(), &url, &name) else { return };
    let body = render_json(&page, BASE);
    let zstd = |level: i32| zstd::bulk::compress(&body, level).unwrap_or_default();
    let gzip = |level: u32| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(level));
        encoder.write_all(&body).and_then(|()| encoder.finish()).unwrap_or_default()
    };
    let brotli = |level: u32| {
        let mut out = Vec::new();
        let mut encoder = brotli::CompressorWriter::new(&mut out, 64 * 1024, level, WINDOW_BITS_BROTLI);
        let written = encoder.write_all(&body);
        drop(encoder);
        written.map(|()| out).unwrap_or_default()
    };
    let mut group = criterion.benchmark_group("compression");
    group.sample_size(10).throughput(Throughput::Bytes(body.len() as u64));
    println!("rendered JSON: {} bytes", body.len());
    for level in LEVELS_ZSTD {
        println!("zstd {level}: {} bytes", zstd(level).len());
        group.bench_function(BenchmarkId::new("zstd", level), |bencher| bencher.iter(|| zstd(black_box(level))));
    }
    for level in LEVELS_GZIP {
        println!("gzip {level}: {} bytes", gzip(level).len());
        group.bench_function(BenchmarkId::new("gzip", level), |bencher| bencher.iter(|| gzip(black_box(level))));
    }
    for level in LEVELS_BROTLI {
        println!("brotli {level}: {} bytes", brotli(level).len());
        group.bench_function(BenchmarkId::new("brotli", level), |bencher| bencher.iter(|| brotli(black_box(level))));
    }
    group.finish();
}

criterion_group!(benches, pages, compression);
criterion_main!(benches);
