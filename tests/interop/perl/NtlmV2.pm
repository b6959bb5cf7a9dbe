package NtlmV2;

# swaks calls Authen::NTLM, which answers with NTLMv1 unless it is told otherwise; swaks has no
# option for that. PERL5OPT="-I<this folder> -MNtlmV2" tells it.

use strict;
use warnings;
use Authen::NTLM ();

Authen::NTLM::ntlmv2(1);

1;
