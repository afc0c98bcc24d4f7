//! What the two kinds of output have in common.

use std::io;

use ringfence::scan::select::Lines;

use super::report::Report;

/// Takes selected lines and prints them.
pub trait Printer: Lines {
    /// Messages and exit code.
    fn report(&mut self) -> &mut Report;
    /// Writes out what is held back.
    fn flush(&mut self) -> io::Result<()>;
    /// Prints what comes after the last file.
    fn finish(&mut self) {}
}

/// Flushes, unless the output has failed already.
pub fn flush(printer: &mut (impl Printer + ?Sized)) {
    if printer.report().output.is_ok() {
        let flushed = printer.flush();
        printer.report().output = flushed;
    }
}
