mod access;
mod merge;
mod names;
mod settings;
