//! Files that the server serves.
//!
//! *Its one idea: where a file is expected, an error may stand instead*, with status 200 and in
//! either of two notations.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::kaltura::api_error::ApiError;
use crate::kaltura::bulk::JobLog;
use crate::kaltura::error::Fault;

/// What is served as long as no row has a result.
const NOT_READY: &[u8] = b"Log file is not ready";

/// Reads what `serveLog` answers.
pub(in crate::kaltura) fn read_log(
    content_type: &str,
    body: Vec<u8>,
) -> Result<Result<JobLog, ApiError>, Fault> {
    let text = body.trim_ascii();
    // Nothing at all is said of a job that is not there.
    if text.is_empty() || text == NOT_READY {
        return Ok(Ok(JobLog::NotReady));
    }
    if let Some(error) = error(text) {
        return Ok(Err(error));
    }
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("text/plain") {
        Ok(Ok(JobLog::Text(body)))
    } else {
        Err(Fault::NoLog)
    }
}

fn error(text: &[u8]) -> Option<ApiError> {
    match text.first()? {
        b'{' => ApiError::from_answer(&serde_json::from_slice(text).ok()?),
        b'<' => ApiError::from_answer(&xml_error(std::str::from_utf8(text).ok()?)?),
        _ => None,
    }
}

/// An error in XML, as it is in JSON. It comes where the format was not read.
fn xml_error(text: &str) -> Option<Value> {
    let Xml { result } = quick_xml::de::from_str(text).ok()?;
    let XmlError {
        code,
        message,
        object_type,
        args,
    } = result.error;
    let args: Map<String, Value> = args
        .item
        .into_iter()
        .map(|arg| (arg.name, Value::String(arg.value)))
        .collect();
    Some(json!({"code": code, "message": message, "objectType": object_type, "args": args}))
}

#[derive(Deserialize)]
struct Xml {
    result: XmlResult,
}

#[derive(Deserialize)]
struct XmlResult {
    error: XmlError,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct XmlError {
    code: String,
    #[serde(default)]
    message: String,
    object_type: String,
    #[serde(default)]
    args: XmlArgs,
}

#[derive(Deserialize, Default)]
struct XmlArgs {
    #[serde(default)]
    item: Vec<XmlArg>,
}

#[derive(Deserialize)]
struct XmlArg {
    name: String,
    #[serde(default)]
    value: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kaltura::api_error::Disposition;

    const PLAIN: &str = "text/plain; charset=UTF-8";

    fn log(content_type: &str, body: &str) -> Result<Result<JobLog, ApiError>, Fault> {
        read_log(content_type, body.as_bytes().to_vec())
    }

    fn error(body: &str) -> ApiError {
        log("application/json", body).unwrap().unwrap_err()
    }

    #[test]
    fn a_recorded_log_is_handed_out_as_it_is() {
        let text = "1,57,c1,3,1,1,,0,\"CategoryUser already exists\"\n1,57,\"q,comma\",3,1,2,,1\n";
        let found = log(PLAIN, text).unwrap().unwrap();
        assert_eq!(found, JobLog::Text(text.as_bytes().to_vec()));
        assert_eq!(format!("{found:?}"), "Text(71 bytes)", "a log names people");
    }

    #[test]
    fn a_log_that_is_not_ready_says_so_or_says_nothing() {
        for (content_type, body) in [
            (PLAIN, "Log file is not ready"),
            ("text/html; charset=UTF-8", ""),
            (PLAIN, "\n"),
        ] {
            assert_eq!(log(content_type, body).unwrap(), Ok(JobLog::NotReady));
        }
    }

    #[test]
    fn an_error_in_place_of_a_log_is_an_error_in_either_notation() {
        let expired = error(
            r#"{"code":"INVALID_KS","message":"Invalid KS \"EXPIRED\", Error \"-1,INVALID_STR\"",
               "objectType":"KalturaAPIException",
               "args":{"KSID":"EXPIRED","ERR_CODE":"-1","ERR_DESC":"INVALID_STR"}}"#,
        );
        assert_eq!(expired.disposition(), Disposition::Renew);
        let same = error(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?><xml><result><error><code>INVALID_KS</code>\
             <message>Invalid KS &quot;EXPIRED&quot;, Error &quot;-1,INVALID_STR&quot;</message>\
             <objectType>KalturaAPIException</objectType><args>\
             <item><objectType>KalturaApiExceptionArg</objectType><name>KSID</name><value>EXPIRED</value></item>\
             <item><objectType>KalturaApiExceptionArg</objectType><name>ERR_CODE</name><value>-1</value></item>\
             <item><objectType>KalturaApiExceptionArg</objectType><name>ERR_DESC</name><value>INVALID_STR</value></item>\
             </args></error></result><executionTime>0.0105</executionTime></xml>",
        );
        assert_eq!(same, expired);
        // As recorded, without arguments.
        let bare = error(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?><xml><result><error>\
             <code>CATEGORY_USER_ALREADY_EXISTS</code><message>CategoryUser already exists</message>\
             <objectType>KalturaAPIException</objectType><args></args></error></result>\
             <executionTime>0.012103796005249</executionTime></xml>",
        );
        assert_eq!(
            bare.to_string(),
            "CATEGORY_USER_ALREADY_EXISTS (CategoryUser already exists)"
        );
    }

    #[test]
    fn a_page_of_a_gateway_is_no_log() {
        for body in [
            "<html>Please sign in</html>",
            "busy",
            r#"{"code": "INVALID_KS"}"#,
        ] {
            assert!(
                matches!(log("text/html", body), Err(Fault::NoLog)),
                "{body}"
            );
        }
    }
}
