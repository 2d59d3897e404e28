mod adopt;
mod counts;
mod faults;
mod file;
mod log;
