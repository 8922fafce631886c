//! The stable codes of everything that can be wrong with a row, a file or a run.
//!
//! A code is part of the product's interface: it stands in `outbound.rejected_row`, in
//! `outbound.import_file` and in the activity of a job, and people write queries and alarms on
//! it. So a code is never renamed, and the words around it are free to improve
//! (list-automation §4.8 V-5, §12.3).

use crate::text_enum::text_enum;

/// How far a reason reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The row is loaded; what is wrong with it is reported.
    Warning,
    /// The row is refused and reported; the file goes on.
    Row,
    /// The file is refused and nothing of it is loaded; the run goes on with the next file.
    File,
    /// The run ends.
    Run,
}

impl Severity {
    /// The word used in `outbound.rejected_row` and in reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Row => "row",
            Self::File => "file",
            Self::Run => "run",
        }
    }
}

text_enum! {
    /// What is wrong, as a stable code.
    pub enum Reason("reason") {
        /// A device is not valid: kept with code U and result `invalid` (T-7).
        BadDevice = "bad_device",
        /// No device of the contact is valid: loaded with code F (T-7). A row for a do-not-contact
        /// list is refused for it.
        NoValidDevice = "no_valid_device",
        /// Bytes that are no text in the file's character set became U+FFFD (H-5).
        Undecodable = "undecodable",

        /// The row has fewer fields than the header.
        TooFewColumns = "too_few_columns",
        /// The row has more fields than the header.
        TooManyColumns = "too_many_columns",
        /// A quoted field is never closed.
        UnclosedQuote = "unclosed_quote",
        /// A field is longer than the limit.
        FieldTooLong = "field_too_long",
        /// A row is longer than the limit.
        RecordTooLong = "record_too_long",
        /// A value does not fit the type of its column.
        BadValue = "bad_value",
        /// A value is no date, or no time, that is understood.
        BadDate = "bad_date",
        /// The unique identifier is empty (V-2).
        EmptyClientId = "empty_client_id",
        /// The unique identifier stood in an earlier row, or is in the list already (V-2).
        DuplicateClientId = "duplicate_client_id",

        /// The file has no bytes.
        FileEmpty = "file_empty",
        /// The file has a header and no row.
        NoRows = "no_rows",
        /// Not one row of the file is acceptable (V-6).
        NoAcceptableRow = "no_acceptable_row",
        /// A column of the list is not in the file.
        HeaderMissing = "header_missing",
        /// Two columns of the file have the same name.
        HeaderDuplicate = "header_duplicate",
        /// A column of the file has a name kept for the product (`sys_…`).
        HeaderReserved = "header_reserved",
        /// A column of the file has no name.
        HeaderEmpty = "header_empty",
        /// The file has columns that the list has not.
        HeaderDrift = "header_drift",
        /// The file has more columns than a list may have.
        HeaderTooMany = "header_too_many",
        /// The list to be appended to does not exist.
        ListMissing = "list_missing",
        /// The list to be made exists.
        ListExists = "list_exists",
        /// Another import is filling the list.
        ListBusy = "list_busy",
        /// The file is in the clear and the job asks for encryption (E-1).
        NotEncrypted = "not_encrypted",
        /// The file cannot be decrypted.
        PgpDecrypt = "pgp_decrypt",
        /// The file is encrypted for a key that is not ours.
        PgpNoKey = "pgp_no_key",
        /// The file was changed after it had been encrypted.
        PgpIntegrity = "pgp_integrity",
        /// The encrypted file ends too early.
        PgpTruncated = "pgp_truncated",
        /// The signature is missing where it is required, wrong, or of an unknown signer.
        PgpSignature = "pgp_signature",
        /// The file grows beyond the permitted ratio when it is unpacked (E-7).
        CompressionBomb = "compression_bomb",
        /// The file is larger than permitted.
        TooLarge = "too_large",
        /// More rows were refused than the job permits.
        MaxRejected = "max_rejected",
        /// The file changed while it was fetched (F-17).
        FileChanged = "file_changed",
        /// The remote entry is a link, a directory or something else that is no file.
        NotRegularFile = "not_regular_file",
        /// The remote name is one that cannot be handled safely.
        BadFileName = "bad_file_name",
        /// A file with the same content was imported before.
        KnownContent = "known_content",
        /// A file with the same name was imported before (F-12).
        KnownName = "known_name",
        /// The file was written to a moment ago (F-17).
        StillGrowing = "still_growing",
        /// The name does not match the job's file name format (M-1).
        NoMatchName = "no_match_name",
        /// The file is not in the format that the job names.
        Format = "format",

        /// The job names an SFTP server that is not there.
        ServerUnknown = "server_unknown",
        /// The SFTP server cannot be reached.
        SftpConnect = "sftp_connect",
        /// The SFTP server refuses user, password or key.
        SftpAuth = "sftp_auth",
        /// The SFTP server shows another host key than the pinned one (F-4).
        SftpHostkey = "sftp_hostkey",
        /// No host key is pinned and the policy is strict (F-5).
        SftpHostkeyUnpinned = "sftp_hostkey_unpinned",
        /// The SFTP server offers only algorithms that are refused (F-11).
        SftpAlgorithm = "sftp_algorithm",
        /// A remote directory or file is missing or closed to us.
        SftpPath = "sftp_path",
        /// A transfer broke off.
        SftpPartial = "sftp_partial",
        /// A secret that the job names is not in the secret folder.
        SecretMissing = "secret_missing",
        /// The job's rules are incomplete or contradict each other (J-8).
        Rule = "rule",
        /// The spool is full or cannot be written.
        Storage = "storage",
        /// The database refused or broke off.
        Database = "database",
        /// The worker that ran the job died.
        WorkerLost = "worker_lost",
        /// The worker was told to stop while it ran the job.
        Interrupted = "interrupted",
        /// A fault of the product itself.
        Internal = "internal",
    }
}

impl Reason {
    /// The stable code, for example `bad_device`.
    #[must_use]
    pub const fn code(self) -> &'static str {
        self.as_str()
    }

    /// How far this reason reaches.
    #[must_use]
    pub const fn severity(self) -> Severity {
        match self {
            Self::BadDevice | Self::NoValidDevice | Self::Undecodable => Severity::Warning,
            Self::TooFewColumns
            | Self::TooManyColumns
            | Self::UnclosedQuote
            | Self::FieldTooLong
            | Self::RecordTooLong
            | Self::BadValue
            | Self::BadDate
            | Self::EmptyClientId
            | Self::DuplicateClientId => Severity::Row,
            Self::ServerUnknown
            | Self::SftpConnect
            | Self::SftpAuth
            | Self::SftpHostkey
            | Self::SftpHostkeyUnpinned
            | Self::SftpAlgorithm
            | Self::SftpPath
            | Self::SftpPartial
            | Self::SecretMissing
            | Self::Rule
            | Self::Storage
            | Self::Database
            | Self::WorkerLost
            | Self::Interrupted
            | Self::Internal => Severity::Run,
            Self::FileEmpty
            | Self::NoRows
            | Self::NoAcceptableRow
            | Self::HeaderMissing
            | Self::HeaderDuplicate
            | Self::HeaderReserved
            | Self::HeaderEmpty
            | Self::HeaderDrift
            | Self::HeaderTooMany
            | Self::ListMissing
            | Self::ListExists
            | Self::ListBusy
            | Self::NotEncrypted
            | Self::PgpDecrypt
            | Self::PgpNoKey
            | Self::PgpIntegrity
            | Self::PgpTruncated
            | Self::PgpSignature
            | Self::CompressionBomb
            | Self::TooLarge
            | Self::MaxRejected
            | Self::FileChanged
            | Self::NotRegularFile
            | Self::BadFileName
            | Self::KnownContent
            | Self::KnownName
            | Self::StillGrowing
            | Self::NoMatchName
            | Self::Format => Severity::File,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn every_code_reads_back_as_its_reason() {
        for &reason in Reason::ALL {
            assert_eq!(reason.code().parse::<Reason>().unwrap(), reason);
            assert_eq!(reason.to_string(), reason.code());
        }
    }

    #[test]
    fn codes_are_lower_case_words_and_differ() {
        let mut seen = std::collections::HashSet::new();
        for reason in Reason::ALL {
            assert!(
                reason
                    .code()
                    .bytes()
                    .all(|b| b == b'_' || b.is_ascii_lowercase())
            );
            assert!(seen.insert(reason.code()), "{reason} stands twice");
        }
    }

    #[test]
    fn an_unknown_code_is_refused() {
        let error = "bad_weather".parse::<Reason>().unwrap_err();
        assert!(error.to_string().contains("\"bad_weather\""));
    }

    #[test]
    fn severities_are_as_documented() {
        assert_eq!(Reason::BadDevice.severity(), Severity::Warning);
        assert_eq!(Reason::DuplicateClientId.severity(), Severity::Row);
        assert_eq!(Reason::HeaderDrift.severity(), Severity::File);
        assert_eq!(Reason::KnownName.severity(), Severity::File);
        assert_eq!(Reason::SftpHostkey.severity(), Severity::Run);
        assert_eq!(Reason::Interrupted.severity(), Severity::Run);
        assert_eq!(Severity::Warning.as_str(), "warning");
    }
}
