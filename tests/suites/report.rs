//! The report of a run in a real browser: what is drawn, what is written, what it asks of the world.

#![expect(clippy::unwrap_used, reason = "tests")]

use droves_e2e::{Browser, Droves, case};
use serde_json::Value;

/// Some are refused for a while, so that there is a failure to show.
const SCENARIO: &str = "droves: 1
name: a run and its report
target: { server: practice }
fleet:
  keys: { pool: 8 }
  populations:
    phones: { platform: ios, count: 40, behaviour: [ { slow: { factor: 0.02 } } ], wake: { median: 50ms, sigma: 0.3 } }
bounds: { lag_max: 60s }
faults:
  - { server: { answer: 503 }, during: check in, share: 20% }
phases:
  - name: enroll
    enroll: { who: all, arrivals: { rate: 20/s } }
    until: { enrolled: 100%, within: 10m }
  - name: check in
    check_in: { who: all, arrivals: { rate: 20/s } }
    for: 3s
  - name: ask
    command: { who: all, request: DeviceInformation, push: true }
    until: { accepted: 100%, within: 10m }
thresholds:
  enroll.response: [ \"p(99)<60s\" ]
";

/// Asks the browser what it made of the page, and writes that into it.
const LOOK: &str = r#"<script>addEventListener("load", () => {
  const curves = [...document.querySelectorAll("svg")].map((svg) => {
    const line = svg.querySelector("polyline"), box = line.getBBox(), view = svg.viewBox.baseVal;
    return { name: svg.getAttribute("aria-label"), points: line.points.length, width: box.width, height: box.height,
      inside: box.x >= 0 && box.y >= 0 && box.x + box.width <= view.width + 1 && box.y + box.height <= view.height + 1,
      drawn: svg.getBoundingClientRect().width };
  });
  const look = { title: document.title, heading: document.querySelector("h1").innerText, 
    curves, cells: [...document.querySelectorAll("td")].map((cell) => cell.innerText),
    loaded: performance.getEntriesByType("resource").map((entry) => entry.name),
    overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth };
  const out = document.createElement("pre"); out.id = "look"; out.textContent = JSON.stringify(look);
  document.body.append(out);
});</script>"#;

#[test]
fn a_browser_draws_the_report_and_needs_nothing_else() {
    case("report", |ground| {
        let browser = Browser::find(ground.path())?;
        let run = Droves::new(ground.path())?.run("report", SCENARIO, &[], &[])?;
        let report = std::fs::read_to_string(run.folder.join("report.html")).unwrap();
        let page = ground.path().join("looked-at.html");
        std::fs::write(&page, report + LOOK).unwrap();
        for width in [1_200, 700] {
            let document = browser.document(&page, width)?;
            let look = document.split_once("<pre id=\"look\">").and_then(|(_, rest)| rest.split_once("</pre>"));
            let (look, _) = look.unwrap_or_else(|| panic!("the page did not load: {document}"));
            let look = look.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
            let look: Value = serde_json::from_str(&look).unwrap();
            assert_eq!(look["title"], "a run and its report");
            assert_eq!(look["loaded"], Value::Array(Vec::new()), "it opens offline");
            assert_eq!(look["overflow"], 0, "nothing is wider than the window of {width}: {look:#}");
            let curves = look["curves"].as_array().unwrap();
            assert_eq!(curves.len(), 5, "{look:#}");
            for curve in curves {
                assert_eq!(curve["inside"], true, "{curve:#}");
                assert!(curve["points"].as_u64() > Some(5) && curve["drawn"].as_f64() > Some(500.0), "{curve:#}");
                assert!(curve["width"].as_f64() > Some(800.0), "{curve:#}");
            }
            let requests = &curves[0];
            assert!(
                requests["name"] == "requests a second" && requests["height"].as_f64() > Some(50.0),
                "{requests:#}"
            );
            let cells: Vec<&str> = look["cells"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
            let failed = run.number("requests.failed").to_string();
            assert!(failed != "0" && cells.contains(&failed.as_str()), "{failed} requests failed: {cells:?}");
            assert!(cells.iter().any(|cell| cell.starts_with("status_503 (server)")), "{cells:?}");
            assert!(cells.contains(&"holds"), "the threshold: {cells:?}");
        }
        Ok(())
    });
}
