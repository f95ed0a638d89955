use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How far a command has come, on standard error: a bar on a terminal, nothing elsewhere. Ends when it is dropped.
pub(super) struct Progress(ProgressBar);

impl Progress {
    /// A bar over so many things, like files.
    pub fn things(what: &'static str, total: u64) -> Self {
        Self::new(what, total, "{msg} {wide_bar} {human_pos}/{human_len} {eta}")
    }

    /// A bar over so many bytes.
    pub fn bytes(what: &'static str, total: u64) -> Self {
        Self::new(what, total, "{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}")
    }

    fn new(what: &'static str, total: u64, template: &str) -> Self {
        let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message(what);
        Self(bar)
    }

    pub fn step(&self, amount: u64) {
        self.0.inc(amount);
    }

    /// More turned up than was known at first.
    pub fn grow(&self, amount: u64) {
        self.0.inc_length(amount);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
