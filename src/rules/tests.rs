mod access;
mod names;
mod settings;
