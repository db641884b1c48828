//! The screen: rings on top, what they refuse in the middle, what happens below.
//!
//! Words carry the meaning, colour only helps. Foreign text is cleaned before it is drawn.

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::{Color, Style},
    text::{Line, Span},
    widgets::{Block, Paragraph, Row, Table},
};

use super::seen::Seen;
use crate::{
    admin::wire::{ModeView, RingState, Spread, Status},
    cli::clean::clean,
};

pub(super) fn draw(frame: &mut Frame<'_>, seen: &Seen) {
    let Some(status) = &seen.status else { return };
    let warnings = u16::try_from(status.warnings.len().min(4)).unwrap_or(4);
    let [head, rings, told, middle, below] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(5),
        Constraint::Length(warnings),
        Constraint::Percentage(45),
        Constraint::Min(3),
    ])
    .areas(frame.area());
    frame.render_widget(Paragraph::new(heading(status)), head);
    frame.render_widget(self::rings(status), rings);
    let lines = status.warnings.iter().map(|text| {
        let style = Style::new().fg(Color::Yellow);
        Line::styled(format!("warning: {}", clean(text)), style)
    });
    frame.render_widget(Paragraph::new(lines.collect::<Vec<_>>()), told);
    let [drops, denied] =
        Layout::horizontal([Constraint::Percentage(40), Constraint::Percentage(60)]).areas(middle);
    frame.render_widget(self::drops(seen, status), drops);
    frame.render_widget(self::denied(status), denied);
    frame.render_widget(events(seen, below), below);
}

fn heading(status: &Status) -> Line<'static> {
    let mode = match status.mode {
        ModeView::Enforce => Span::raw("enforce"),
        ModeView::Audit => Span::styled("AUDIT", Style::new().fg(Color::Yellow)),
        ModeView::Closed => Span::styled("CLOSED by panic", Style::new().fg(Color::Red)),
    };
    let text = format!(
        "{}  revision {}  {} clients  {} rollouts  mode ",
        status.host, status.revision, status.clients, status.rollouts
    );
    Line::from(vec![Span::raw(text), mode, Span::raw("   q leaves")])
}

fn rings(status: &Status) -> Paragraph<'static> {
    let rings = &status.rings;
    let line = |name: &str, state: RingState, detail: String| {
        let (word, colour) = match state {
            RingState::Up => ("up", Color::Green),
            RingState::Degraded => ("DEGRADED", Color::Yellow),
            RingState::Off => ("OFF", Color::Red),
        };
        Line::from(vec![
            Span::raw(format!("{name:11}")),
            Span::styled(format!("{word:9}"), Style::new().fg(colour)),
            Span::raw(clean(&detail).into_owned()),
        ])
    };
    let packet = format!(
        "{} of {} entries {}",
        rings.packet.entries, rings.packet.capacity, rings.packet.reason
    );
    let connection = format!("{} connections", rings.connection.connections);
    let spread = |what: &str, spread: Option<Spread>| {
        let text =
            |Spread { p50_us, p99_us }| format!(", {what} {p50_us} us (p50), {p99_us} us (p99)");
        spread.map(text).unwrap_or_default()
    };
    let request = format!(
        "{} live streams{}{}",
        status.live_streams,
        spread("adds", rings.request.overhead),
        spread("revokes in", status.revoke),
    );
    Paragraph::new(vec![
        line("packet", rings.packet.state, packet),
        line("connection", rings.connection.state, connection),
        line("request", rings.request.state, request),
    ])
    .block(Block::bordered().title("rings"))
}

fn drops(seen: &Seen, status: &Status) -> Table<'static> {
    let mut drops: Vec<(&String, &u64)> = status.drops.iter().collect();
    let rate = |reason: &String| seen.rates.get(reason).copied().unwrap_or(0.0);
    drops.sort_by(|a, b| {
        let (ours, theirs) = (rate(a.0), rate(b.0));
        theirs.total_cmp(&ours).then(b.1.cmp(a.1))
    });
    let rows = drops.into_iter().map(|(reason, count)| {
        Row::new([
            format!("{:.0}", rate(reason)),
            count.to_string(),
            clean(reason).into_owned(),
        ])
    });
    let widths = [
        Constraint::Length(10),
        Constraint::Length(12),
        Constraint::Min(8),
    ];
    Table::new(rows, widths)
        .header(Row::new(["a second", "in all", "reason"]))
        .block(Block::bordered().title("dropped packets"))
}

fn denied(status: &Status) -> Table<'static> {
    let rows = status.rings.packet.denied.iter().map(|one| {
        Row::new([
            one.source.to_string(),
            clean(&one.interface).into_owned(),
            one.port.map_or_else(String::new, |port| port.to_string()),
            clean(&one.reason).into_owned(),
            one.samples.to_string(),
        ])
    });
    let widths = [
        Constraint::Min(16),
        Constraint::Length(12),
        Constraint::Length(6),
        Constraint::Length(16),
        Constraint::Length(8),
    ];
    Table::new(rows, widths)
        .header(Row::new(["source", "at", "port", "reason", "sampled"]))
        .block(Block::bordered().title("denied most"))
}

fn events(seen: &Seen, area: Rect) -> Paragraph<'static> {
    let room = usize::from(area.height.saturating_sub(2));
    let hidden = seen.events.len().saturating_sub(room);
    let lines = seen.events.iter().skip(hidden);
    let lines: Vec<Line<'_>> = lines
        .map(|row| Line::raw(clean(row).into_owned()))
        .collect();
    Paragraph::new(lines).block(Block::bordered().title("what happens"))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use ratatui::{Terminal, backend::TestBackend};
    use serde_json::json;

    use super::*;

    fn status(stranger: u64) -> Status {
        serde_json::from_value(json!({
            "revision": 42, "mode": "closed", "host": "h1",
            "rings": {
                "packet": {"state": "degraded", "interfaces": [], "guards": [],
                    "entries": 3, "capacity": 1000, "reason": "no CAP_BPF",
                    "denied": [{"source": "10.0.0.9", "interface": "veth9",
                        "reason": "stranger", "port": 8765, "samples": 12}]},
                "connection": {"state": "up", "listen": [], "connections": 2, "reason": ""},
                "request": {"state": "up", "reason": "",
                    "overhead": {"p50_us": 50, "p99_us": 500}},
            },
            "revoke": {"p50_us": 1000, "p99_us": 2500},
            "clients": 1, "rollouts": 2, "live_streams": 7, "drift": 0,
            "drops": {"stranger": stranger}, "warnings": ["look here\u{1b}[2J"]
        }))
        .unwrap()
    }

    #[test]
    fn one_screen_says_what_is_wrong_and_who_knocks() {
        let (mut seen, now) = (Seen::default(), Instant::now());
        seen.take(status(10), now);
        seen.take(status(110), now + Duration::from_secs(2));
        seen.note(&json!({"event": "alarm", "at": "2026-01-02T03:04:05.000Z",
            "kind": "wrong_source", "message": "somebody replays it"}));
        let mut terminal = Terminal::new(TestBackend::new(120, 30)).unwrap();
        terminal.draw(|frame| draw(frame, &seen)).unwrap();
        let screen = terminal.backend().to_string();
        for part in [
            "CLOSED by panic",
            "DEGRADED",
            "no CAP_BPF",
            "7 live streams, adds 50 us (p50), 500 us (p99), revokes in 1000 us (p50)",
            "50         110          stranger",
            "10.0.0.9",
            "warning: look here",
            "somebody replays it",
        ] {
            assert!(screen.contains(part), "{part} in\n{screen}");
        }
        assert!(!screen.contains('\u{1b}'), "{screen}");
    }
}
