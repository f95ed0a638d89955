//! The access log's line, written by hand: there is one for each request, and a page that is in memory is served in less
//! time than the subscriber takes to style and quote one. It looks as the subscriber's own lines do.

use crate::clock::Clock;
use crate::config::LogFormat;
use crate::index::stamps;
use std::cell::RefCell;
use std::fmt::{self, Debug};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// The target of the events that are written by hand.
const ACCESS: &str = "access";

/// Writes the access log's events itself, and leaves all others to `rest`.
pub(super) struct Lines<E> {
    pub rest: E,
    pub format: LogFormat,
    pub clock: Clock,
}

impl<S, N, E> FormatEvent<S, N> for Lines<E>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'writer> FormatFields<'writer> + 'static,
    E: FormatEvent<S, N>,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let about = event.metadata();
        if about.target() != ACCESS {
            return self.rest.format_event(context, writer, event);
        }
        let (level, json) = (about.level().as_str(), self.format == LogFormat::Json);
        if json {
            writer.write_str("{\"timestamp\":\"")?;
            self.time(&mut writer)?;
            write!(writer, "\",\"level\":\"{level}\"")?;
        } else {
            self.time(&mut writer)?;
            write!(writer, " {level:>5} {ACCESS}:")?;
        }
        let mut fields = Fields { writer: &mut writer, json, written: Ok(()) };
        event.record(&mut fields);
        fields.written?;
        if json {
            write!(writer, ",\"target\":\"{ACCESS}\"}}")?;
        }
        writer.write_char('\n')
    }
}

impl<E> Lines<E> {
    /// `2026-11-23T07:02:45.123456Z`
    fn time(&self, writer: &mut Writer<'_>) -> fmt::Result {
        thread_local! {
            /// The second of the last line, as it is written.
            static LAST: RefCell<(u64, String)> = const { RefCell::new((u64::MAX, String::new())) };
        }
        let micros = self.clock.unix_micros();
        let (second, mut rest) = (micros / 1_000_000, micros % 1_000_000);
        LAST.with_borrow_mut(|(last, text)| {
            if *last != second {
                *text = stamps::iso(second);
                text.pop();
                *last = second;
            }
            writer.write_str(text)
        })?;
        let mut fraction = *b".000000Z";
        for digit in fraction[1..7].iter_mut().rev() {
            *digit += (rest % 10) as u8;
            rest /= 10;
        }
        writer.write_str(std::str::from_utf8(&fraction).unwrap_or_default())
    }
}

/// The name under which an event's sentence comes.
const MESSAGE: &str = "message";

/// ` name=value` or `,"name":value` for each field.
struct Fields<'a, 'w> {
    writer: &'a mut Writer<'w>,
    json: bool,
    written: fmt::Result,
}

impl Fields<'_, '_> {
    fn add(&mut self, field: &Field, value: impl FnOnce(&mut Writer<'_>) -> fmt::Result) {
        if self.written.is_ok() {
            self.written = self.name(field.name()).and_then(|()| value(self.writer));
        }
    }

    fn name(&mut self, name: &str) -> fmt::Result {
        let (before, after) = if self.json { (",\"", "\":") } else { (" ", "=") };
        self.writer.write_str(before)?;
        self.writer.write_str(name)?;
        self.writer.write_str(after)
    }
}

impl Visit for Fields<'_, '_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        let json = self.json;
        self.add(field, |writer| match (is_plain(value), json) {
            (true, _) => quoted(writer, value),
            (false, true) => write!(writer, "{}", serde_json::Value::from(value)),
            (false, false) => write!(writer, "{value:?}"),
        });
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, |writer| write!(writer, "{value}"));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, |writer| write!(writer, "{value:?}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if self.json {
            self.record_str(field, &format!("{value:?}"));
        } else if field.name() == MESSAGE {
            self.written = self.written.and_then(|()| write!(self.writer, " {value:?}"));
        } else {
            self.add(field, |writer| write!(writer, "{value:?}"));
        }
    }
}

/// Whether a text stands between quotes as it is, in Rust's way of writing as in JSON.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\')
}

fn quoted(writer: &mut Writer<'_>, text: &str) -> fmt::Result {
    writer.write_char('"')?;
    writer.write_str(text)?;
    writer.write_char('"')
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;
    use std::sync::{Arc, Mutex};
    use tracing_subscriber::fmt::MakeWriter;

    #[derive(Clone, Default)]
    struct Text(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Text {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl MakeWriter<'_> for Text {
        type Writer = Self;

        fn make_writer(&self) -> Self {
            self.clone()
        }
    }

    fn events() {
        let (none, some): (Option<String>, _) = (None, Some("it \"ended\"".to_owned()));
        for cut in [none, some] {
            for path in ["/root/pypi/+simple/demo/", "/a\"b\\c/\u{7f}"] {
                let (status, bytes) = (206_u16, 13_312_u64);
                let milliseconds = 123.0 / 1e3;
                tracing::info!(target: "access", method = "GET", path, status, bytes, milliseconds, cut);
            }
        }
        let peer = "127.0.0.1:80".parse::<std::net::SocketAddr>().ok();
        tracing::warn!(target: "access", status = 400_u16, peer = ?peer, "refused");
        tracing::info!(name = "other", "the \"rest\"");
    }

    /// A log's lines without their times, which must look like times.
    fn lines(text: Text, format: LogFormat) -> Vec<String> {
        let text = String::from_utf8(text.0.lock().unwrap().clone()).unwrap();
        let cut = |line: &str| {
            let from = if format == LogFormat::Json { r#"{"timestamp":""#.len() } else { 0 };
            let time = &line[from..from + 27];
            assert!(stamps::unix_of(time).is_some() && time.ends_with('Z'), "{line}");
            format!("{}{}", &line[..from], &line[from + 27..])
        };
        text.lines().map(cut).collect()
    }

    #[test]
    fn a_line_looks_as_the_subscriber_would_have_written_it() {
        let (ours, theirs) = (Text::default(), Text::default());
        let human = |rest| Lines { rest, format: LogFormat::Human, clock: Clock::system() };
        let log = || tracing_subscriber::fmt().with_ansi(false);
        tracing::subscriber::with_default(log().with_writer(theirs.clone()).finish(), events);
        tracing::subscriber::with_default(log().with_writer(ours.clone()).map_event_format(human).finish(), events);
        assert_eq!(lines(ours, LogFormat::Human), lines(theirs, LogFormat::Human));

        let (ours, theirs) = (Text::default(), Text::default());
        let json = |rest| Lines { rest, format: LogFormat::Json, clock: Clock::system() };
        let log = || tracing_subscriber::fmt().json().flatten_event(true);
        tracing::subscriber::with_default(log().with_writer(theirs.clone()).finish(), events);
        tracing::subscriber::with_default(log().with_writer(ours.clone()).map_event_format(json).finish(), events);
        assert_eq!(lines(ours, LogFormat::Json), lines(theirs, LogFormat::Json));
    }

    #[test]
    fn a_time_has_six_digits_of_a_second() {
        let lines = Lines { rest: (), format: LogFormat::Human, clock: Clock::manual(1_795_417_365) };
        lines.clock.advance(std::time::Duration::from_millis(7));
        for _ in 0..2 {
            let mut text = String::new();
            lines.time(&mut Writer::new(&mut text)).unwrap();
            assert_eq!(text, "2026-11-23T07:02:45.007000Z");
        }
    }
}
