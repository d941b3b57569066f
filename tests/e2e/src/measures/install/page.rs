//! `docs/install.md` as a script: its commands in order, each block under the heading it stands below. Pure.

/// What stands in the page where a person acts.
const A_PERSON_PAYS: &str = "<!-- a person pays -->";

/// Something that the page has its reader do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Deed {
    /// Commands, of one shell.
    Run {
        /// The heading above.
        heading: String,
        /// What is typed.
        commands: String,
    },
    /// Paying at the link.
    Pay,
}

/// The deeds of a page, in order.
pub(super) fn deeds(page: &str) -> Vec<Deed> {
    let (mut deeds, mut heading, mut block) = (Vec::new(), "", None::<String>);
    for line in page.lines() {
        match (&mut block, line) {
            (Some(_), "```") => {
                let commands = block.take().unwrap_or_default();
                let heading = heading.to_owned();
                deeds.push(Deed::Run { heading, commands });
            }
            (Some(commands), _) => {
                commands.push_str(line);
                commands.push('\n');
            }
            (None, "```sh") => block = Some(String::new()),
            (None, A_PERSON_PAYS) => deeds.push(Deed::Pay),
            (None, _) => heading = line.strip_prefix("## ").unwrap_or(heading),
        }
    }
    deeds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_of_commands_stand_under_their_headings_and_other_blocks_are_not_run() {
        let page = "# T\n## One\n```sh\na\nb\n```\n<!-- a person pays -->\n```yaml\nx\n```\n## Two\n```sh\nc\n```\n";
        let run = |heading: &str, commands: &str| Deed::Run {
            heading: heading.to_owned(),
            commands: commands.to_owned(),
        };
        let expected = [run("One", "a\nb\n"), Deed::Pay, run("Two", "c\n")];
        assert_eq!(deeds(page), expected);
    }
}
