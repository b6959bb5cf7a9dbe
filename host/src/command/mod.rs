//! Arguments to exit status: 0 done, 1 it failed and standard error says why and what to do, 2
//! wrong usage. A file per verb.

pub mod check;
pub mod component;
pub mod demo;
        Verb::Oauth(arguments) => oauth::run(&arguments),
