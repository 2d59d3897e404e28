mod adopt;
mod counts;
mod damage;
mod faults;
mod file;
mod log;
