//! What Kaltura says when it says no.
//!
//! *Its one idea: the table is written as Kaltura's own source writes it*, one line an error,
//! `CODE;ARG,ARG;message with @ARG@`. Spelling mistakes are Kaltura's; clients match on them.
//! (`api_v3/lib/KalturaErrors.php`, `alpha/apps/kaltura/lib/webservices/APIErrors.class.php`; each
//! text below was recorded unless it says otherwise.)

use std::borrow::Cow;
use std::fmt::Display;

/// Why a call has no answer.
#[derive(Debug, Clone)]
pub(super) enum Failure {
    /// An error of the API: an ordinary answer with HTTP status 200.
    Api(ApiError),
    /// PHP itself died: HTTP status 500 and nothing else, for the whole request.
    Fatal,
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        Self::Api(error)
    }
}

/// An error of the API, ready to be sent.
#[derive(Debug, Clone)]
pub(super) struct ApiError {
    /// Kaltura's code.
    pub(super) code: Cow<'static, str>,
    /// The sentence, arguments filled in.
    pub(super) message: String,
    /// The arguments, in the template's order.
    pub(super) args: Vec<(&'static str, String)>,
}

impl ApiError {
    /// Fills a line of the table. An argument that is missing or empty where PHP has null shows as
    /// `N/A`.
    pub(super) fn new(template: &'static str, values: &[&dyn Display]) -> Self {
        let mut parts = template.splitn(3, ';');
        let code = parts.next().unwrap_or_default();
        let names = parts.next().unwrap_or_default();
        let mut message = parts.next().unwrap_or_default().to_owned();
        let mut args = Vec::new();
        for (at, name) in names.split(',').filter(|name| !name.is_empty()).enumerate() {
            let value = values
                .get(at)
                .map_or_else(|| "N/A".to_owned(), |value| strip_tags(&value.to_string()));
            message = message.replace(&format!("@{name}@"), &value);
            args.push((name, value));
        }
        Self {
            code: Cow::Borrowed(code),
            message,
            args,
        }
    }

    /// An error a test asked for: any code, no arguments.
    pub(super) fn on_demand(code: &str) -> Self {
        let message = match code {
            "LOCK_TIMED_OUT" => "Timed out while attempting to grab lock",
            "INTERNAL_SERVERL_ERROR" => "Internal server error occurred",
            "CATEGORIES_LOCKED" => "Categories are locked",
            _ => "Error on demand",
        };
        Self {
            code: Cow::Owned(code.to_owned()),
            message: message.to_owned(),
            args: Vec::new(),
        }
    }
}

/// Takes HTML tags out of an argument, as Kaltura does before it echoes one.
fn strip_tags(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(open) = rest.find('<') {
        let tag = &rest[open + 1..];
        let opens = tag
            .chars()
            .next()
            .is_some_and(|c| c.is_ascii_alphabetic() || c == '/' || c == '!');
        if let Some(close) = tag.find('>').filter(|_| opens) {
            out.push_str(&rest[..open]);
            rest = &tag[close + 1..];
        } else {
            out.push_str(&rest[..=open]);
            rest = tag;
        }
    }
    out.push_str(rest);
    out
}

macro_rules! errors {
    ($($name:ident = $template:literal;)*) => {
        $(pub(super) const $name: &str = concat!(stringify!($name), ";", $template);)*
    };
}

errors! {
    // The front door.
    SERVICE_NOT_SPECIFIED = ";Service name was not specified, please specify one";
    SERVICE_DOES_NOT_EXISTS = "SRV_NAME;Service \"@SRV_NAME@\" does not exists";
    ACTION_DOES_NOT_EXISTS = "ACTION_NAME,SERVICE_NAME;Action \"@ACTION_NAME@\" does not exists for service \"@SERVICE_NAME@\"";
    SERVICE_FORBIDDEN = "SERVICE;The access to service [@SERVICE@] is forbidden";
    SERVICE_FORBIDDEN_CONTENT_BLOCKED = ";The access to this service is forbidden since the specified partner is blocked";
    MISSING_MANDATORY_PARAMETER = "PARAM_NAME;Missing parameter \"@PARAM_NAME@\"";
    INVALID_ENUM_VALUE = "ENUM_VAL,PARAM_NAME,ENUM_TYPE;Invalid enumeration value \"@ENUM_VAL@\" for parameter \"@PARAM_NAME@\", expecting enumeration type \"@ENUM_TYPE@\"";
    PROPERTY_VALIDATION_WRONG_FORMAT = "PROP_NAME,FORMAT;The property \"@PROP_NAME@\" must match format @FORMAT@";
    PROPERTY_VALIDATION_NOT_UPDATABLE = "PROP_NAME;The property \"@PROP_NAME@\" cannot be updated";
    PROPERTY_VALIDATION_CANNOT_BE_NULL = "PROP_NAME;The property \"@PROP_NAME@\" cannot be null";
    PROPERTY_VALIDATION_MIN_LENGTH = "PROP_NAME,MIN_LEN;The property \"@PROP_NAME@\" must have a min length of @MIN_LEN@ characters";
    PROPERTY_VALIDATION_MAX_LENGTH = "PROP_NAME,MAX_LEN;The property \"@PROP_NAME@\" cannot have more than @MAX_LEN@ characters";
    INVALID_FIELD_VALUE = "FIELD_NAME;value in field [@FIELD_NAME@] is not valid";
    INVALID_OBJECT_ID = "ID;Invalid object id [@ID@]";
    INTERNAL_SERVERL_ERROR = ";Internal server error occurred";
    QUERY_EXCEEDED_MAX_MATCHES_ALLOWED = ";Unable to generate list. max matches value was reached";

    OBJECT_TYPE_ABSTRACT = "OBJ_TYPE;The object type \"@OBJ_TYPE@\" is abstract, use one of the object implementations";

    // Bulk uploads.
    BULK_UPLOAD_NOT_FOUND = "ID;Bulk upload id \"@ID@\" not found";
    INVALID_FILE_TYPE = "FILE_NAME;Restricted file type for file @FILE_NAME@";

    // Sessions.
    INVALID_KS = "KSID,ERR_CODE,ERR_DESC;Invalid KS \"@KSID@\", Error \"@ERR_CODE@,@ERR_DESC@\"";
    START_SESSION_ERROR = "PID;Error while starting session for partner [@PID@]";
    INVALID_WIDGET_ID = "WIDGET_ID;Unknown widget [@WIDGET_ID@]";
    APP_TOKEN_ID_NOT_FOUND = "ID;Application token id \"@ID@\" not found";
    // Not recorded: the text is the source's.
    APP_TOKEN_NOT_ACTIVE = "ID;Application token \"@ID@\" is not active";
    APP_TOKEN_EXPIRED = "ID;Application token \"@ID@\" expired";
    INVALID_APP_TOKEN_HASH = ";Invalid application token hash";
    ROLE_NAME_ALREADY_EXISTS = ";A role with the same name already exists";
    ROLE_IS_BEING_USED = ";Role is being used";
    PERMISSION_NOT_FOUND = "ERR_TEXT;@ERR_TEXT@";

    // Categories.
    CATEGORY_NOT_FOUND = "ID;Category id \"@ID@\" not found";
    CATEGORIES_LOCKED = ";Categories are locked";
    DUPLICATE_CATEGORY = "CATEGORY;The category \"@CATEGORY@\" already exists";
    PRIVACY_CONTEXT_INVALID_STRING = "CONTEXT;Privacy context is invalid \"@CONTEXT@\"";
    CANNOT_UPDATE_CATEGORY_PRIVACY_CONTEXT = ";Cannot update privacy context";
    CANNOT_SET_OWNER_FIELD_WITH_USER_ID = "ID;Cannot set owner field with user id \"@ID@\", user id is invalid";
    CANNOT_SET_OWNER_WHEN_CATEGORY_INHERIT_MEMBERS = ";Cannot set owner when category is set to inherit";
    CANNOT_SET_DEFAULT_PERMISSION_LEVEL_WHEN_CATEGORY_INHERIT_MEMBERS = ";Cannot set default permission level when category is set to inherit";
    // Not recorded: the texts are the source's.
    CANNOT_INHERIT_MEMBERS_WHEN_PARENT_CATEGORY_IS_NOT_SET = ";Cannot inherit members when parent category is not set";
    NOT_ENTITLED_TO_UPDATE_CATEGORY = ";Current user is not entitled to update category";
    CANNOT_MOVE_CATEGORIES_FROM_DIFFERENT_PARENT_CATEGORIES = ";Cannot move categories from different parent categories";
    PARENT_CATEGORY_IS_CHILD = "PARENT_ID,ID;The parent category [@PARENT_ID@] is one of the childs of category [@ID@]";
    CANNOT_SET_OWNER_FIELD_WITH_NO_PRIVACY_CONTEXT = ";Cannot set owner field when privacy context is not set on the categroy";
    CANNOT_SET_INHERITANCE_TYPE_FIELD_WITH_NO_PRIVACY_CONTEXT = ";Cannot set inheritance field when privacy context is not set on the categroy";
    CANNOT_SET_PRIVACY_FIELD_WITH_NO_PRIVACY_CONTEXT = ";Cannot set privacy field when privacy context is not set on the categroy";
    // Not recorded: the texts are the source's.
    CANNOT_SET_APPEAR_IN_LIST_FIELD_WITH_NO_PRIVACY_CONTEXT = ";Cannot set appear in list field when privacy context is not set on the categroy";
    CANNOT_SET_CONTIRUBUTION_POLICY_FIELD_WITH_NO_PRIVACY_CONTEXT = ";Cannot set contribution policy field when privacy context is not set on the categroy";
    CANNOT_SET_DEFAULT_PERMISSION_LEVEL_FIELD_WITH_NO_PRIVACY_CONTEXT = ";Cannot set default permission level field when privacy context is not set on the categroy";

    // Memberships.
    CATEGORY_USER_ALREADY_EXISTS = ";CategoryUser already exists";
    INVALID_CATEGORY_USER_ID = "CAT,USER;Invalid CategoryUser for category [\"@CAT@\"] and for user [\"@USER@\"]";
    CATEGORY_INHERIT_MEMBERS = "CAT;Cannot add members to this category since its inherit members from parent category [\"@CAT@\"]";
    CATEGORY_MAX_USER_REACHED = "MAX;Max amount of users per category @MAX@ has been reached";
    CATEGORY_USER_JOIN_NOT_ALLOWED = "CAT;cannot register to this category [\"@CAT@\"]";
    CANNOT_UPDATE_CATEGORY_USER = ";cannot update category user";
    CANNOT_UPDATE_CATEGORY_USER_OWNER = ";Cannot change CategoryUser object for category Owner";
    CANNOT_OVERRIDE_MANUAL_CHANGES = ";Cannot override manual changes";
    // Not recorded: the text is the source's.
    CATEGORY_DOES_NOT_HAVE_PARENT_CATEGORY = ";Category doesn't have parent category";
    MUST_FILTER_USERS_OR_CATEGORY = ";Must filter users or categories";
    APPLICATIVE_GROUP_ASSOCIATION_TO_CATEGORY_NOT_ALLOWED = ";Applicative group association to category with permission level other than None is not allowed";

    // Groups.
    USER_NOT_FOUND = ";User was not found";
    GROUP_NOT_FOUND = ";Group was not found";
    INVALID_GROUP_ID = "ID;Invalid group id - @ID@";
    GROUP_USER_ALREADY_EXISTS = ";GroupUser already exists";
    GROUP_USER_NOT_FOUND = ";Group user was not found";
    GROUP_USER_DOES_NOT_EXISTS = "USER,GROUP;Invalid GroupUser for group [\"@GROUP@\"] and for user [\"@USER@\"]";
    // Not recorded: the texts are the source's.
    USER_EXCEEDED_MAX_GROUPS = ";User exceeded max number of groups";
    DUPLICATE_GROUP_BY_ID = "ID;Group with id [@ID@] already exists in system";
    USER_ID_NOT_PROVIDED_OR_EMPTY = ";User ID not found neither on the object or KS";

    // Custom metadata.
    METADATA_NOT_FOUND = "ID;metadata not found, id [@ID@]";
    METADATA_PROFILE_NOT_FOUND = "ID;metadata profile not found, id [@ID@]";
    METADATA_OBJECT_ID_NOT_FOUND = "ID;Object Id [@ID@], not found";
    METADATA_ALREADY_EXISTS = "ID;Metadata already exists id [@ID@]";
    METADATA_TRANSFORMING = ";Metadata profile is currently transforming";
    INVALID_METADATA_DATA = "ERR_MSG;invalid metadata data: @ERR_MSG@";
    INVALID_METADATA_VERSION = "VERSION;invalid metadata version [@VERSION@]";
    INVALID_METADATA_PROFILE_SCHEMA = "ERR_MSG;invalid metadata profile schema: @ERR_MSG@";
    INCOMPATIBLE_METADATA_PROFILE_OBJECT_TYPE = "OBJ_TYPE,META_OBJ_TYPE;Metadata Profile object type is @OBJ_TYPE@, metadata object type is @META_OBJ_TYPE@";
    MUST_FILTER_ON_OBJECT_ID = ";Must filter on object id";
    SYSTEM_NAME_ALREADY_EXISTS = "SYS_NAME;System name [@SYS_NAME@] already exists";
    // Not recorded: the text is the source's.
    INVALID_METADATA_PROFILE = "PROFILE;invalid metadata profile [@PROFILE@]";

    // Users.
    INVALID_USER_ID = ";Invalid user id";
    DUPLICATE_USER_BY_ID = "UID;User with id [@UID@] already exists in system";
    ID_AND_EXTERNAL_ID_ARE_MUTUALLY_EXCLUSIVE = ";User operations with both id and external id not allowed";
    CANNOT_RETRIEVE_ANOTHER_USER_USING_NON_ADMIN_SESSION = "USER_ID;cannot retrieve another user \"@USER_ID@\" using non-admin session";
    USER_ROLE_NOT_FOUND = ";User role not found";
    CANNOT_CHANGE_OWN_ROLE = ";User cannot change his own role";
    // Not recorded: the text is the source's.
    CANNOT_DELETE_OR_BLOCK_ROOT_ADMIN_USER = ";The root admin user cannot be deleted or blocked";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_stand_in_the_message_and_in_args() {
        let error = ApiError::new(INVALID_CATEGORY_USER_ID, &[&5501, &"b2"]);
        assert_eq!(error.code, "INVALID_CATEGORY_USER_ID");
        assert_eq!(
            error.message,
            "Invalid CategoryUser for category [\"5501\"] and for user [\"b2\"]"
        );
        assert_eq!(error.args, [("CAT", "5501".into()), ("USER", "b2".into())]);
    }

    #[test]
    fn a_missing_argument_is_not_available() {
        let error = ApiError::new(CATEGORY_NOT_FOUND, &[]);
        assert_eq!(error.message, "Category id \"N/A\" not found");
    }

    #[test]
    fn tags_are_stripped_and_lone_brackets_stay() {
        assert_eq!(strip_tags("a<b>c</b> 1 < 2"), "ac 1 < 2");
    }
}
