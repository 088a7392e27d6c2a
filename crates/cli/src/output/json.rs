//! `-o json`: the data of the answer as the server sent it, and a line break.

use crate::answer::Answer;
use std::io::{self, Write};

pub(crate) fn data(out: &mut dyn Write, answer: &Answer) -> io::Result<()> {
    writeln!(out, "{}", answer.data.get())
}
