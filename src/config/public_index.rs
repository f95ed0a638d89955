//! The public index, the upstream of a mirror that is told nothing else. No other file names it.

/// PyPI's simple API.
pub(super) const SIMPLE_URL: &str = "https://pypi.org/simple/";

/// Where PyPI's pages say that its files are.
pub(super) const FILE_ORIGIN: &str = "https://files.pythonhosted.org";
