//! What the reference says of a command or an event, on its page.

use crate::lang::{conceal, mask_secrets, mask_text};
use crate::render::pretty;

use super::Manual;
use super::page::Page;
use super::reference::{Block, Definition, Step};

impl Manual<'_> {
    fn definition(&self, name: &str) -> Option<&Definition> {
        self.reference?.get(name)
    }

    /// What it does, and since when.
    pub(super) fn about(&self, page: &mut Page, name: &str) {
        let Some(definition) = self.definition(name) else {
            return;
        };
        page.prose(&definition.about);
        for feature in &definition.features {
            // The mark alone stands there already.
            page.prose(&feature.text);
        }
        if let Some(since) = &definition.since {
            page.prose(&[Block::Paragraph(format!("Since QEMU {since}."))]);
        }
    }

    /// What it returns, but for what the schema says better: nothing, or the name of a type.
    pub(super) fn said_of_returns(&self, name: &str) -> Vec<Block> {
        let said = self.definition(name).map_or(&[][..], |said| &said.returns);
        let news = |block: &Block| {
            let (text, is_item) = match block {
                Block::Paragraph(text) => (text, false),
                Block::Item(text) => (text, true),
                Block::Code(_) => return Some(block.clone()),
            };
            let said = match text
                .strip_prefix('`')
                .and_then(|text| text.split_once("` -- "))
            {
                Some((_, said)) => said,
                None => text,
            };
            let is_type = said.ends_with('`') && said.split(' ').count() <= 3;
            let is_nothing = said.to_ascii_lowercase().starts_with("nothing");
            let is_news = said.contains(' ') && !is_type && !is_nothing;
            let block = if is_item {
                Block::Item
            } else {
                Block::Paragraph
            };
            is_news.then(|| block(said.to_owned()))
        };
        said.iter().filter_map(news).collect()
    }

    /// When it fails, and what else there is to know.
    pub(super) fn notes(&self, page: &mut Page, name: &str) {
        let Some(definition) = self.definition(name) else {
            return;
        };
        for (heading, blocks) in [("Errors", &definition.errors), ("Notes", &definition.notes)] {
            if !blocks.is_empty() {
                page.heading(heading);
                page.prose(blocks);
            }
        }
    }

    /// The lines of its examples.
    pub(super) fn examples(&self, page: &mut Page, name: &str) {
        let examples = self.definition(name).map_or(&[][..], |said| &said.examples);
        let has_line = |step: &Step| step.line().is_some();
        let told: Vec<_> = examples
            .iter()
            .filter(|example| example.steps.iter().any(has_line))
            .collect();
        if told.is_empty() {
            return;
        }
        page.heading("Examples");
        for example in &told {
            if !example.title.is_empty() {
                page.paragraph(&example.title);
            }
            for step in example.steps.iter().filter(|step| has_line(step)) {
                dialogue(page, step);
            }
        }
        let mut steps = told.iter().flat_map(|example| &example.steps);
        if steps.any(|step| !has_line(step) && !matches!(step, Step::Reply(json) if json == "{}")) {
            page.paragraph(&format!("`help {name} --examples` shows the replies, too."));
        }
    }

    /// The examples of a command or an event with what the server answers, or `None` if there are none.
    pub fn example_page(&self, name: &str) -> Option<String> {
        let examples = &self.definition(name)?.examples;
        if examples.is_empty() {
            return None;
        }
        let mut page = Page::new(self.sheet);
        for example in examples {
            let title = match &*example.title {
                "" => "Example",
                title => title,
            };
            page.heading(title);
            for step in &example.steps {
                dialogue(&mut page, step);
            }
        }
        Some(page.finish())
    }
}

/// Adds a step of an example. Its secrets are masked as anybody's are.
fn dialogue(page: &mut Page, step: &Step) {
    match step {
        Step::Line(line) => page.verbatim(0, &conceal(line)),
        Step::Reply(json) | Step::Event(json) => {
            let masked = mask_secrets(json);
            page.verbatim(1, &pretty(masked.as_deref().unwrap_or(json), false));
        }
        Step::Text(text) => page.verbatim(0, &mask_text(text)),
    }
}
