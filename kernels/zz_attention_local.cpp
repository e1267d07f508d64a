#include <cmath>
#include <vector>
#include "base/threads.h"
#include "kernels/attention.h"
namespace nibble {
int64_t attention_forward_scratch(const AttentionShape&, int64_t) { return 0; }
int64_t attention_backward_scratch(const AttentionShape&, int64_t, int64_t) { return 0; }
int64_t attention_decode_scratch(const AttentionShape&, int64_t, int64_t) { return 0; }
template <class T> void fwd(const AttentionForward& op) {
  auto& s=op.shape; int64_t H=s.heads,K=s.kv_heads,D=s.head_dim,W=(H+2*K)*D; const int32_t* st=op.starts.as<int32_t>(); int64_t S=op.starts.dim(0)-1;
  const T* x=op.qkv.as<T>(); T* o=op.out.as<T>(); float* lse=op.lse?op.lse.as<float>():nullptr;
  parallel_for(H,1,[&](int64_t b,int64_t e){ std::vector<double> p; for(int64_t h=b;h<e;h++)for(int64_t q=0;q<S;q++)for(int64_t i=st[q];i<st[q+1];i++){
    int64_t j0=st[q]; if(s.window) j0=std::max<int64_t>(j0,i-s.window+1); p.assign(i-j0+1,0); double m=-1e30; int64_t kh=h/(H/K);
    for(int64_t j=j0;j<=i;j++){double a=0;for(int64_t d=0;d<D;d++)a+=(double)to_float(x[i*W+h*D+d])*to_float(x[j*W+(H+kh)*D+d]);p[j-j0]=a*s.scale;m=std::max(m,p[j-j0]);}
    double z=0;for(auto&v:p){v=std::exp(v-m);z+=v;} if(lse)lse[i*H+h]=m+std::log(z);
    for(int64_t d=0;d<D;d++){double a=0;for(int64_t j=j0;j<=i;j++)a+=p[j-j0]*to_float(x[j*W+(H+K+kh)*D+d]);o[i*H*D+h*D+d]=from_float<T>(a/z);} }});
}
void attention_forward(const AttentionForward& op, Stream) { if(op.qkv.dtype==Dtype::kF32)fwd<float>(op);else fwd<bf16>(op);}
template <class T> void bwd(const AttentionBackward& op) {
  auto& s=op.shape; int64_t H=s.heads,K=s.kv_heads,D=s.head_dim,W=(H+2*K)*D; const int32_t* st=op.starts.as<int32_t>(); int64_t S=op.starts.dim(0)-1,N=op.qkv.dim(0);
  const T* x=op.qkv.as<T>(); const T* o=op.out.as<T>(); const T* g=op.dout.as<T>(); const float* lse=op.lse.as<float>(); std::vector<double> dx(N*W,0);
  for(int64_t h=0;h<H;h++)for(int64_t q=0;q<S;q++)for(int64_t i=st[q];i<st[q+1];i++){int64_t kh=h/(H/K);int64_t j0=st[q]; if(s.window) j0=std::max<int64_t>(j0,i-s.window+1);
    double de=0;for(int64_t d=0;d<D;d++)de+=(double)to_float(g[i*H*D+h*D+d])*to_float(o[i*H*D+h*D+d]);
    for(int64_t j=j0;j<=i;j++){double a=0,dp=0;for(int64_t d=0;d<D;d++){a+=(double)to_float(x[i*W+h*D+d])*to_float(x[j*W+(H+kh)*D+d]);dp+=(double)to_float(g[i*H*D+h*D+d])*to_float(x[j*W+(H+K+kh)*D+d]);}
      double p=std::exp(a*s.scale-lse[i*H+h]),ds=p*(dp-de)*s.scale;for(int64_t d=0;d<D;d++){dx[i*W+h*D+d]+=ds*to_float(x[j*W+(H+kh)*D+d]);dx[j*W+(H+kh)*D+d]+=ds*to_float(x[i*W+h*D+d]);dx[j*W+(H+K+kh)*D+d]+=p*to_float(g[i*H*D+h*D+d]);}}}
  T* out=op.dqkv.as<T>();for(int64_t i=0;i<N*W;i++)out[i]=from_float<T>(dx[i]);
}
void attention_backward(const AttentionBackward& op, Stream) { if(op.qkv.dtype==Dtype::kF32)bwd<float>(op);else bwd<bf16>(op);}
}
