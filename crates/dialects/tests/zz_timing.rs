//! timing
use bytes::BytesMut;
use gatewright_core::{Dialect, RawEvent, ReplyStyle, Translate, Relay};
use gatewright_dialects::sse::Splitter;
#[test]
fn timing() {
    let chunk = r#"{"id":"chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT","object":"chat.completion.chunk","created":1741569952,"model":"gpt-4o-2024-08-06","service_tier":"default","system_fingerprint":"fp_44709d6fcb","choices":[{"index":0,"delta":{"content":" hello"},"logprobs":null,"finish_reason":null}]}"#;
    let with_null = chunk.replace("}]}", "}],\"usage\":null}");
    let stream: String = std::iter::repeat(format!("data: {chunk}\n\n")).take(100).collect();
    let stream_null: String = std::iter::repeat(format!("data: {with_null}\n\n")).take(100).collect();
    let codec = gatewright_dialects::of(Dialect::OpenAiChat);
    let style = ReplyStyle { model: "alias".into(), include_usage: false, created: 1 };
    println!("chunk {} bytes", chunk.len());
    for (name, s) in [("plain", &stream), ("usage:null", &stream_null)] {
      for round in 0..5 {
        let mut out = BytesMut::with_capacity(1 << 16);
        let n = 2000;
        let t = std::time::Instant::now();
        for _ in 0..n {
            let mut relay = codec.relay(&style);
            let mut sp = Splitter::new(1 << 20);
            out.clear();
            sp.feed(s.as_bytes(), &mut |e: RawEvent<'_>| { relay.event(e, &mut out)?; Ok(()) }).unwrap();
        }
        let split_relay = t.elapsed().as_nanos() as f64 / (n * 100) as f64;
        let t = std::time::Instant::now();
        let mut count = 0;
        for _ in 0..n {
            let mut sp = Splitter::new(1 << 20);
            sp.feed(s.as_bytes(), &mut |e: RawEvent<'_>| { count += e.data.len(); Ok(()) }).unwrap();
        }
        let split = t.elapsed().as_nanos() as f64 / (n * 100) as f64;
        let mut relay = codec.relay(&style);
        let data = s[6..].split("\n\n").next().unwrap().as_bytes();
        let t = std::time::Instant::now();
        for i in 0..n * 100 { if i % 100 == 0 { out.clear(); } relay.event(RawEvent { name: "", data }, &mut out).unwrap(); }
        let rel = t.elapsed().as_nanos() as f64 / (n * 100) as f64;
        let t = std::time::Instant::now();
        for _ in 0..n / 10 {
            let mut tr = Translate::new(codec.decoder(), codec.encoder(&style));
            out.clear();
            for _ in 0..100 { tr.event(RawEvent { name: "", data }, &mut out).unwrap(); }
        }
        let tr = t.elapsed().as_nanos() as f64 / (n * 10) as f64;
        if round > 2 { println!("{name}: relay {rel:.0} ns, split {split:.0} ns, split+relay {split_relay:.0} ns, translate {tr:.0} ns {count}"); }
      }
    }
}
