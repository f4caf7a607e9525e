use crate::dialect::verbs::Verb;

/// The verbs that the outputs of `help` and of `help info` list.
///
/// Each is `NAME|ALIAS ARGUMENTS -- SUMMARY`, with further lines of arguments that begin with a bracket, and of the
/// summary that begin with white space.
pub fn parse(help: &str, info: &str) -> Vec<Verb> {
    let mut verbs = entries(help, "");
    let topics = entries(info, "info ");
    for verb in &mut verbs {
        if verb.name() == "info" {
            verb.topics.clone_from(&topics);
        }
    }
    let mut all = verbs.clone();
    all.retain(|verb| verb.name() != "help");
    if let Some(help) = verbs.iter_mut().find(|verb| verb.name() == "help") {
        help.topics = all;
    }
    verbs
}

fn entries(help: &str, before: &str) -> Vec<Verb> {
    let mut texts: Vec<String> = Vec::new();
    for line in help.lines() {
        let line = line.trim_end_matches('\r');
        match texts.last_mut() {
            Some(text) if line.starts_with([' ', '\t', '[']) => {
                text.push('\n');
                text.push_str(line.trim());
            }
            _ if line.trim().is_empty() => {}
            _ => texts.push(line.to_owned()),
        }
    }
    let texts = texts.iter().filter_map(|text| text.strip_prefix(before));
    texts.filter_map(verb).collect()
}

fn verb(text: &str) -> Option<Verb> {
    // A verb without arguments has two spaces before the dashes.
    let (head, summary) = text.split_once(" -- ")?;
    let head = head.replace('\n', "");
    let (names, synopsis) = head.split_once(' ').unwrap_or((&head, ""));
    let names: Vec<String> = names.split('|').map(str::to_owned).collect();
    // Some repeat their name.
    let synopsis = synopsis.trim();
    let synopsis = synopsis
        .strip_prefix(names[0].as_str())
        .filter(|rest| rest.is_empty() || rest.starts_with(' '))
        .unwrap_or(synopsis);
    Some(Verb {
        synopsis: synopsis.trim().to_owned(),
        summary: summary.trim().to_owned(),
        topics: Vec::new(),
        names,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_have_names_arguments_and_summaries_over_several_lines() {
        let help = "cont|c  -- resume emulation\r\n\
                    drive_add [-n] [[<domain>:]<bus>:]<slot>\r\n[file=file][,if=type]\r\n[,unit=m] -- add drive\r\n\
                    getfd getfd name -- receive a file descriptor\r\n\
                    migrate [-d] uri -- migrate to URI\r\n\t\t\t -b for more\r\n\
                    info [subcommand] -- show various information\r\n";
        let verbs = parse(help, "info status  -- show the current VM status\r\n");
        let heads: Vec<String> = verbs.iter().map(Verb::headline).collect();
        assert_eq!(
            heads,
            [
                "cont|c",
                "drive_add [-n] [[<domain>:]<bus>:]<slot>[file=file][,if=type][,unit=m]",
                "getfd name",
                "migrate [-d] uri",
                "info [subcommand]"
            ]
        );
        assert_eq!(verbs[3].summary, "migrate to URI\n-b for more");
        assert_eq!(verbs[4].topics[0].headline(), "status");
    }
}
