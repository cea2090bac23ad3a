//! A collector on loopback: takes requests over HTTP and decodes them.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
};

use opentelemetry_proto::tonic::{
    collector::{metrics::v1::ExportMetricsServiceRequest, trace::v1::ExportTraceServiceRequest},
    common::v1::{KeyValue, any_value::Value},
    metrics::v1::{Metric, metric::Data, number_data_point},
};
use prost::Message;

/// What was sent: path and body.
type Requests = Arc<Mutex<Vec<(String, Vec<u8>)>>>;

pub(crate) struct Collector {
    address: SocketAddr,
    requests: Requests,
}

/// A span as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Span {
    pub(crate) name: String,
    pub(crate) trace: Vec<u8>,
    pub(crate) id: Vec<u8>,
    pub(crate) parent: Vec<u8>,
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) is_error: bool,
    attributes: Vec<KeyValue>,
}

impl Span {
    fn value(&self, name: &str) -> Option<&Value> {
        let found = self.attributes.iter().find(|one| one.key == name)?;
        found.value.as_ref()?.value.as_ref()
    }

    pub(crate) fn text(&self, name: &str) -> &str {
        match self.value(name) {
            Some(Value::StringValue(text)) => text,
            _ => "",
        }
    }

    pub(crate) fn number(&self, name: &str) -> i64 {
        match self.value(name) {
            Some(Value::IntValue(number)) => *number,
            _ => -1,
        }
    }
}

impl Collector {
    pub(crate) fn start() -> Self {
        Self::answering("200 OK")
    }

    pub(crate) fn refusing() -> Self {
        Self::answering("400 Bad Request")
    }

    fn answering(status: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Requests::default();
        let kept = Arc::clone(&requests);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let kept = Arc::clone(&kept);
                std::thread::spawn(move || serve(stream, status, &kept));
            }
        });
        Self { address, requests }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn bodies(&self, path: &str) -> Vec<Vec<u8>> {
        let requests = self.requests.lock().unwrap();
        let wanted = requests.iter().filter(|(to, _)| to == path);
        wanted.map(|(_, body)| body.clone()).collect()
    }

    /// Returns whether these bytes were sent at all.
    pub(crate) fn holds(&self, bytes: &[u8]) -> bool {
        let requests = self.requests.lock().unwrap();
        let mut bodies = requests.iter().map(|(_, body)| body);
        bodies.any(|body| body.windows(bytes.len()).any(|part| part == bytes))
    }

    pub(crate) fn spans(&self) -> Vec<Span> {
        let mut spans = Vec::new();
        for body in self.bodies("/v1/traces") {
            let request = ExportTraceServiceRequest::decode(body.as_slice()).unwrap();
            for resource in request.resource_spans {
                let named = resource.resource.unwrap();
                assert!(named.attributes.iter().any(|one| one.key == "service.name"));
                for scope in resource.scope_spans {
                    spans.extend(scope.spans.into_iter().map(|span| Span {
                        is_error: span.status.is_some_and(|status| status.code == 2),
                        name: span.name,
                        trace: span.trace_id,
                        id: span.span_id,
                        parent: span.parent_span_id,
                        start: span.start_time_unix_nano,
                        end: span.end_time_unix_nano,
                        attributes: span.attributes,
                    }));
                }
            }
        }
        spans
    }

    /// Returns the names of the metrics.
    pub(crate) fn metrics(&self) -> Vec<String> {
        let all = self.sent_metrics().into_iter();
        all.map(|metric| metric.name).collect()
    }

    /// Returns what was measured under a name, a point for each set of attributes.
    pub(crate) fn points(&self, name: &str) -> Vec<Point> {
        let own = self.sent_metrics().into_iter();
        own.filter(|metric| metric.name == name)
            .flat_map(points)
            .collect()
    }

    fn sent_metrics(&self) -> Vec<Metric> {
        let mut metrics = Vec::new();
        for body in self.bodies("/v1/metrics") {
            let request = ExportMetricsServiceRequest::decode(body.as_slice()).unwrap();
            let resources = request.resource_metrics.into_iter();
            let scopes = resources.flat_map(|one| one.scope_metrics);
            metrics.extend(scopes.flat_map(|one| one.metrics));
        }
        metrics
    }
}

/// What was measured with one set of attributes.
#[derive(Debug, Clone)]
pub(crate) struct Point {
    /// How often; of a counter, what it counts.
    pub(crate) count: u64,
    /// What all of it adds up to.
    pub(crate) sum: f64,
    attributes: Vec<KeyValue>,
}

impl Point {
    pub(crate) fn has(&self, name: &str, text: &str) -> bool {
        let own = self.attributes.iter().find(|one| one.key == name);
        let value = own.and_then(|one| one.value.as_ref()?.value.as_ref());
        match value {
            Some(Value::StringValue(value)) => value == text,
            Some(Value::IntValue(value)) => value.to_string() == text,
            _ => false,
        }
    }
}

fn points(metric: Metric) -> Vec<Point> {
    match metric.data.unwrap() {
        Data::Histogram(histogram) => histogram
            .data_points
            .into_iter()
            .map(|point| Point {
                count: point.count,
                sum: point.sum.unwrap(),
                attributes: point.attributes,
            })
            .collect(),
        Data::Sum(sum) => {
            assert!(sum.is_monotonic, "a counter only grows");
            let counted = |value: Option<number_data_point::Value>| match value.unwrap() {
                number_data_point::Value::AsInt(count) => u64::try_from(count).unwrap(),
                number_data_point::Value::AsDouble(count) => panic!("{count} is no count"),
            };
            let points = sum.data_points.into_iter();
            points
                .map(|point| Point {
                    count: counted(point.value),
                    sum: 0.0,
                    attributes: point.attributes,
                })
                .collect()
        }
        other => panic!("{other:?}"),
    }
}

fn serve(stream: TcpStream, status: &str, kept: &Requests) {
    let mut writer = stream.try_clone().unwrap();
    let mut reader = BufReader::new(stream);
    loop {
        let mut first = String::new();
        if reader.read_line(&mut first).unwrap_or(0) == 0 {
            return;
        }
        let path = first
            .split_whitespace()
            .nth(1)
            .unwrap_or_default()
            .to_owned();
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            let Some((name, value)) = line.split_once(':') else {
                break;
            };
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        if reader.read_exact(&mut body).is_err() {
            return;
        }
        // Kept before it is answered, so that whoever was answered can rely on it.
        kept.lock().unwrap().push((path, body));
        let answer = format!(
            "HTTP/1.1 {status}\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n"
        );
        if writer.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}
