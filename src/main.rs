//! The program: reads the command line and the environment, and runs.

use std::process::ExitCode;

/// Gives memory back to the system after a large page or a burst, where glibc keeps an arena for each thread. Without
/// huge pages (`no_thp`): with them the idle server is 12 MB larger, and three times as large after an install.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    sidewheel::platform::allocator::return_memory_at_once();
    let command = sidewheel::cli::parse();
    let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    sidewheel::run::run(command, &std::env::vars_os().filter_map(text).collect())
}
