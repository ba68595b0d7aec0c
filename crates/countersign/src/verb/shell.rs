//! `completions` and `man`: what a packager puts beside the program.

use super::Ended;
use crate::cli::Cli;
use clap::CommandFactory;
use std::io::{self, Write};

pub(super) fn completions(shell: clap_complete::Shell) -> Ended {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "countersign", &mut text);
    print(&text)
}

/// One page for the program, with a section for every verb's own page behind it.
pub(super) fn man() -> Ended {
    let mut text = Vec::new();
    match render(Cli::command(), &mut text) {
        Ok(()) => print(&text),
        Err(error) => {
            eprintln!("error: {error}");
            Ended::Failed
        }
    }
}

fn render(mut command: clap::Command, text: &mut Vec<u8>) -> io::Result<()> {
    command.build();
    clap_mangen::Man::new(command.clone()).render(text)?;
    for verb in command.get_subcommands() {
        subcommands(verb.clone(), text)?;
    }
    Ok(())
}

fn subcommands(command: clap::Command, text: &mut Vec<u8>) -> io::Result<()> {
    if command.get_name() == "help" {
        return Ok(());
    }
    if command.has_subcommands() {
        for verb in command.get_subcommands() {
            subcommands(verb.clone(), text)?;
        }
        return Ok(());
    }
    // Without its own title: the pages make one document.
    let name = command
        .get_display_name()
        .unwrap_or(command.get_name())
        .replace('-', " ");
    let man = clap_mangen::Man::new(command);
    writeln!(text, ".SH \"{}\"", name.to_uppercase())?;
    man.render_description_section(text)?;
    man.render_synopsis_section(text)?;
    man.render_options_section(text)?;
    man.render_extra_section(text)
}

fn print(text: &[u8]) -> Ended {
    match io::stdout().write_all(text) {
        Ok(()) => Ended::Done,
        // A pager that was closed early is no failure of ours.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ended::Done,
        Err(error) => {
            eprintln!("error: {error}");
            Ended::Failed
        }
    }
}

#[cfg(test)]
mod tests {
    use super::render;
    use crate::cli::Cli;
    use clap::CommandFactory;

    #[test]
    fn the_manual_knows_every_verb() {
        let mut text = Vec::new();
        render(Cli::command(), &mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        for verb in [
            "AUDIT VERIFY",
            "CLIENT ADD",
            "GRANT REVOKE",
            "INIT",
            "USER ADD",
        ] {
            assert!(text.contains(verb), "{verb}");
        }
        assert!(text.contains("countersign user add alice"), "examples too");
    }
}
